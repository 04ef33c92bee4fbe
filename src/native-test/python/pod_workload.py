"""What runs in a pod: boto3 and an environment. Its argument is the URL of a service to call."""

import sys

import boto3
from botocore.exceptions import ClientError

session = boto3.Session(region_name="us-west-2")
credentials = session.get_credentials()
print("access key id:", credentials.access_key)
# There is no public way to see it.
print("expiration:", credentials._expiry_time.isoformat())
try:
    session.client("sts", endpoint_url=sys.argv[1]).get_caller_identity()
except ClientError:
    print("called")
