// What runs in a pod: the AWS SDK for JavaScript and an environment. Its argument is the URL of a service to call.
import { GetCallerIdentityCommand, STSClient, STSServiceException } from "@aws-sdk/client-sts";

const client = new STSClient({ region: "us-west-2", endpoint: process.argv[2] });
const credentials = await client.config.credentials();
console.log("access key id:", credentials.accessKeyId);
console.log("expiration:", credentials.expiration.toISOString());
try {
  await client.send(new GetCallerIdentityCommand({}));
} catch (refusal) {
  if (!(refusal instanceof STSServiceException)) {
    throw refusal;
  }
  console.log("called");
}
