"""What runs in a pod: boto3 and an environment. Its arguments are URLs of services to call."""

import sys

import boto3
from botocore.exceptions import ClientError

session = boto3.Session(region_name="us-west-2")
credentials = session.get_credentials()
print("access key id:", credentials.access_key)
# There is no public way to see it.
print("expiration:", credentials._expiry_time.isoformat())
for service in sys.argv[1:]:
    try:
        session.client("sts", endpoint_url=service).get_caller_identity()
    except ClientError:
        print("called")
