"""What runs in a pod: boto3 and an environment. Protocol: ../README.md"""

import json
import sys
import time
import traceback
from concurrent.futures import ThreadPoolExecutor

import boto3
from botocore.exceptions import ClientError


def resolve(session, start):
    try:
        credentials = session.get_credentials()
        if credentials is None:
            raise LookupError("Unable to locate credentials")
        frozen = credentials.get_frozen_credentials()
    except Exception as error:  # Whatever it is, it is what the application gets.
        return failure(error, start)
    # There is no public way to see when they expire.
    return {
        "ok": True,
        "millis": millis(start),
        "accessKeyId": frozen.access_key,
        "expiration": credentials._expiry_time.isoformat(),
    }


def failure(error, start):
    text = "".join(traceback.format_exception_only(error)).strip()
    return {"ok": False, "millis": millis(start), "error": text}


def millis(start):
    return round((time.monotonic() - start) * 1000)


def fresh(_=None):
    start = time.monotonic()
    session = boto3.Session()
    return session, resolve(session, start)


def call(session, service):
    start = time.monotonic()
    try:
        session.client("sts", endpoint_url=service).get_caller_identity()
    except ClientError:
        return {"ok": True, "millis": millis(start)}
    except Exception as error:
        return failure(error, start)


def main():
    living = None
    for line in sys.stdin:
        command, *arguments = line.split()
        if command == "fresh":
            living, reply = fresh()
            replies = [reply]
        elif command == "again":
            replies = [resolve(living, time.monotonic())]
        elif command == "burst":
            count = int(arguments[0])
            with ThreadPoolExecutor(count) as threads:
                replies = [reply for _, reply in threads.map(fresh, range(count))]
        elif command == "call":
            replies = [call(living, arguments[0])]
        else:
            raise ValueError(line)
        for reply in replies:
            print(json.dumps(reply), flush=True)


main()
