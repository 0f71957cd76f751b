// SPDX-License-Identifier: Apache-2.0
//
// The main job as one would write it by hand in Node, without a framework: take the webhook, get the
// user, find the contact, PATCH what differs, answer. It verifies nothing and stores nothing: what
// Grapnel does more is Grapnel's to pay. TARGET_PORT is in the environment; the first line printed
// is "listening on 127.0.0.1:PORT".
import http from "node:http";

const port = Number(process.env.TARGET_PORT);
const agent = new http.Agent({ keepAlive: true, maxSockets: 64 });
const headers = { accept: "application/json", authorization: "Bearer bench" };

async function readJson(stream) {
  let text = "";
  stream.setEncoding("utf8");
  for await (const chunk of stream) text += chunk;
  return JSON.parse(text);
}

function call(method, path, value) {
  return new Promise((resolve, reject) => {
    const options = { host: "127.0.0.1", port, agent, method, path, headers };
    const body = value && JSON.stringify(value);
    if (body)
      options.headers = {
        ...headers,
        "content-type": "application/merge-patch+json",
        "content-length": Buffer.byteLength(body),
      };
    const request = http.request(options, (answer) => {
      if (answer.statusCode < 300) return resolve(readJson(answer));
      answer.resume();
      reject(new Error(`${method} ${path}: ${answer.statusCode}`));
    });
    request.on("error", reject);
    request.end(body);
  });
}

function difference(have, want) {
  const changed = Object.entries(want).filter(([name, value]) => have[name] !== value);
  return changed.length ? Object.fromEntries(changed) : null;
}

async function synchronize(event) {
  const id = encodeURIComponent(event.id);
  const user = await call("GET", `/users/${id}`);
  const found = await call("GET", `/contacts?external_id=${id}`);
  if (found.items.length !== 1) throw new Error(`no contact for ${user.email}`);
  const [contact] = found.items;
  const want = { email: user.email, name: `${user.firstName} ${user.lastName}` };
  const changes = difference(contact, want);
  if (changes) await call("PATCH", `/contacts/${encodeURIComponent(contact.id)}`, changes);
  return changes ? `Updated: ${Object.keys(changes).join(", ")}.` : "Nothing to change.";
}

async function onRequest(request, response) {
  let status = 200, answer;
  try {
    answer = { message: await synchronize(await readJson(request)) };
  } catch (error) {
    status = 424;
    answer = { detail: error.message };
  }
  const body = JSON.stringify(answer);
  response.writeHead(status, {
    "content-type": "application/json",
    "content-length": Buffer.byteLength(body),
  });
  response.end(body);
}

const server = http.createServer(onRequest);
server.keepAliveTimeout = 60_000;
server.listen(0, "127.0.0.1", () => console.log(`listening on 127.0.0.1:${server.address().port}`));
