// What runs in a pod: the AWS SDK for JavaScript v3 and an environment. Protocol: ../README.md
import { createInterface } from "node:readline";
import { GetCallerIdentityCommand, STSClient, STSServiceException } from "@aws-sdk/client-sts";

let living;

const fresh = () => {
  const start = performance.now();
  const client = new STSClient({});
  return [client, resolve(client, start)];
};

const resolve = async (client, start) => {
  try {
    const { accessKeyId, expiration } = await client.config.credentials();
    return { ok: true, millis: since(start), accessKeyId, expiration: expiration.toISOString() };
  } catch (error) {
    return failure(error, start);
  }
};

const call = async (endpoint) => {
  const start = performance.now();
  try {
    await new STSClient({ endpoint, credentials: living.config.credentials }).send(new GetCallerIdentityCommand({}));
  } catch (error) {
    return error instanceof STSServiceException ? { ok: true, millis: since(start) } : failure(error, start);
  }
};

const failure = (error, start) => ({ ok: false, millis: since(start), error: text(error) });
const text = (error) => `${error}` + (error.cause ? `\nCaused by: ${text(error.cause)}` : "");
const since = (start) => Math.round(performance.now() - start);

const commands = {
  fresh: () => {
    const [client, reply] = fresh();
    living = client;
    return [reply];
  },
  again: () => [resolve(living, performance.now())],
  burst: (count) => Array.from({ length: Number(count) }, () => fresh()[1]),
  call: (service) => [call(service)],
};

for await (const line of createInterface({ input: process.stdin })) {
  const [command, ...args] = line.split(" ");
  for (const reply of await Promise.all(commands[command](...args))) {
    console.log(JSON.stringify(reply));
  }
}
