"""What runs in a pod: the AWS CLI and an environment; each attempt is a run of the CLI. Protocol: ../README.md"""

import json
import re
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Sts(BaseHTTPRequestHandler):
    """The service that the CLI calls: the caller is the access key that the call is signed with."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        key = re.search("Credential=([^/]+)", self.headers["Authorization"]).group(1)
        body = (
            '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>'
            f"<Arn>{key}</Arn></GetCallerIdentityResult></GetCallerIdentityResponse>"
        ).encode()
        self.send_response(200)
        self.send_header("Content-Length", len(body))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


STS = ThreadingHTTPServer(("127.0.0.1", 0), Sts)
CLI = [sys.executable, "-m", "awscli", "sts", "get-caller-identity", "--query", "Arn", "--output", "text"]
CLI += ["--endpoint-url", f"http://127.0.0.1:{STS.server_port}"]


def attempt(_=None):
    start = time.monotonic()
    run = subprocess.run(CLI, cwd=Path(__file__).parent, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    reply = {"ok": run.returncode == 0, "millis": round((time.monotonic() - start) * 1000)}
    if reply["ok"]:
        reply["accessKeyId"] = run.stdout.strip()
    else:
        reply["error"] = run.stderr.strip()
    return reply


def main():
    threading.Thread(target=STS.serve_forever, daemon=True).start()
    for line in sys.stdin:
        command, *arguments = line.split()
        if command in ("fresh", "again"):
            replies = [attempt()]
        elif command == "burst":
            count = int(arguments[0])
            with ThreadPoolExecutor(count) as threads:
                replies = list(threads.map(attempt, range(count)))
        else:
            raise ValueError(line)
        for reply in replies:
            print(json.dumps(reply), flush=True)


main()
