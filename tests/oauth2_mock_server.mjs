// Drives the npm package oauth2-mock-server for tests: a command a line on stdin, an answer a line.
// node oauth2_mock_server.mjs PACKAGE/dist/index.mjs
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const { OAuth2Server } = await import(pathToFileURL(process.argv[2]));
let server;

async function start(port) {
  server = new OAuth2Server();
  await server.issuer.keys.generate("RS256");
  await server.start(port, "127.0.0.1");
}

await start(0);
console.log(server.issuer.url);

for await (const line of createInterface({ input: process.stdin })) {
  const { rotate, header, claims } = JSON.parse(line);
  if (rotate) {
    const { port } = server.address();
    await server.stop();
    await start(port);
    console.log("rotated");
  } else {
    const token = await server.issuer.buildToken({
      scopesOrTransform: (given, payload) => {
        Object.assign(given, header);
        Object.assign(payload, claims);
        for (const name of Object.keys(payload)) {
          if (payload[name] === null) delete payload[name];
        }
      },
    });
    console.log(token);
  }
}
await server.stop();
