// What runs in a pod: the AWS SDK for JavaScript and an environment. Its arguments are URLs of services to call.
import { GetCallerIdentityCommand, STSClient, STSServiceException } from "@aws-sdk/client-sts";

const region = "us-west-2";
const credentials = await new STSClient({ region }).config.credentials();
console.log("access key id:", credentials.accessKeyId);
console.log("expiration:", credentials.expiration.toISOString());
for (const endpoint of process.argv.slice(2)) {
  try {
    await new STSClient({ region, endpoint, credentials }).send(new GetCallerIdentityCommand({}));
  } catch (refusal) {
    if (!(refusal instanceof STSServiceException)) {
      throw refusal;
    }
    console.log("called");
  }
}
