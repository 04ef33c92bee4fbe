// What runs in a pod: the AWS SDK for JavaScript v2 and an environment. Protocol: ../README.md
const { createInterface } = require("node:readline");
const AWS = require("aws-sdk");

let living;

const fresh = () => {
  const start = performance.now();
  const config = new AWS.Config();
  return [config, resolve(config, start)];
};

const resolve = (config, start) => new Promise((done) => config.getCredentials((error, credentials) => done(error
  ? { ok: false, millis: since(start), error: text(error) }
  : { ok: true, millis: since(start), accessKeyId: credentials.accessKeyId, expiration: credentials.expireTime?.toISOString() })));

const text = (error) => `${error}` + (error.originalError ? `\nCaused by: ${error.originalError.code}: ${error.originalError.message}` : "");
const since = (start) => Math.round(performance.now() - start);

const commands = {
  fresh: () => {
    const [config, reply] = fresh();
    living = config;
    return [reply];
  },
  again: () => [resolve(living, performance.now())],
  burst: (count) => Array.from({ length: Number(count) }, () => fresh()[1]),
};

createInterface({ input: process.stdin }).on("line", async (line) => {
  const [command, ...args] = line.split(" ");
  for (const reply of await Promise.all(commands[command](...args))) {
    console.log(JSON.stringify(reply));
  }
});
