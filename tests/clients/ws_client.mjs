// The npm package ws talks to the demo: see clients_test.py, which sets URL, PINGING, PRONGHORN and CONTROL.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { promisify } from "node:util";
import WebSocket from "ws";

const { URL: http, PINGING: pinging, PRONGHORN: program, CONTROL: control } = process.env;
const run = promisify(execFile);

const connect = (path, options, server) => new WebSocket(server.replace("http", "ws") + path, options);

async function open(path, options = {}, server = http) {
  const socket = connect(path, options, server);
  socket.on("error", () => {});  // told by the event that the test waits for
  socket.messages = [];
  socket.waiting = [];
  socket.on("message", (data, isBinary) => {
    const message = isBinary ? data : data.toString();
    const waiting = socket.waiting.shift();
    if (waiting) waiting(message);
    else socket.messages.push(message);
  });
  await once(socket, "open");
  return socket;
}

function next(socket) {
  if (socket.messages.length > 0) return socket.messages.shift();
  return new Promise((resolve) => socket.waiting.push(resolve));
}

async function closed(socket) {
  const [code, reason] = await once(socket, "close");
  return { code, reason: reason.toString() };
}

async function pids() {
  const status = await (await fetch(`${http}/status`, { headers: { Accept: "application/json" } })).json();
  return status.workers.filter((worker) => worker.state === "ready").map((worker) => worker.pid);
}

async function ready(count) {
  for (;;) {
    try {
      const found = await pids();
      if (found.length === count) return found;
    } catch (error) {
      if (error instanceof assert.AssertionError) throw error;  // else: the worker that would answer has been killed
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const tests = {
  "echo of text and binary, compressed and not"() {
    return Promise.all([true, false].map(async (perMessageDeflate) => {
      const socket = await open("/echo/socket", { perMessageDeflate });
      assert.equal(socket.extensions.includes("permessage-deflate"), perMessageDeflate);
      for (const text of ["hello", "", "Grüße 🦌", "x".repeat(125), "x".repeat(126), "y".repeat(65536)]) {
        socket.send(text);
        assert.equal(await next(socket), text);
        socket.send(Buffer.from(text));
        assert.deepEqual(await next(socket), Buffer.from(text));
      }
      const large = Buffer.alloc(1 << 20);
      for (let i = 0; i < large.length; ++i) large[i] = (i * i) % 251;
      socket.send(large);
      assert.ok(large.equals(await next(socket)));
      socket.close();
      assert.equal((await closed(socket)).code, 1005);
    }));
  },
  async "every window that permessage-deflate can negotiate"() {
    for (let bits = 9; bits <= 15; ++bits) {
      const socket = await open("/echo/socket", {
        perMessageDeflate: { serverMaxWindowBits: bits, clientMaxWindowBits: bits, threshold: 0 },
      });
      assert.ok(socket.extensions.includes("permessage-deflate"));
      const text = Array.from({ length: 5000 }, (_, i) => `line ${i * bits}`).join("\n");
      for (let i = 0; i < 3; ++i) {
        socket.send(text);
        assert.equal(await next(socket), text);
      }
      socket.terminate();
    }
  },
  async "messages in fragments, with pings between them"() {
    for (const compress of [true, false]) {
      const socket = await open("/echo/socket", { perMessageDeflate: { threshold: 0 } });
      const pong = once(socket, "pong");
      for (let i = 0; i < 100; ++i) socket.send(`part ${i} `, { fin: false, compress });
      socket.ping("between");
      socket.send("end", { fin: true, compress });
      assert.equal((await pong)[0].toString(), "between");
      assert.equal(await next(socket), Array.from({ length: 100 }, (_, i) => `part ${i} `).join("") + "end");
      socket.terminate();
    }
  },
  async "the server pings a silent client, and keeps one that answers"() {
    const socket = await open("/echo/socket", {}, pinging);
    socket.pong("nobody has asked");
    await once(socket, "ping");
    await once(socket, "ping");
    socket.send("still here");
    assert.equal(await next(socket), "still here");
    socket.terminate();
  },
  async "close codes of both sides"() {
    for (const [code, reason] of [[1000, ""], [1001, "leaving"], [3000, "x"], [4999, "y".repeat(123)]]) {
      const socket = await open("/echo/socket");
      socket.close(code, reason);
      assert.equal((await closed(socket)).code, code);
    }
    const cases = [
      ["/echo/socket", 1009, (socket) => socket.send(Buffer.alloc((1 << 20) + 1))],
      ["/echo/socket", 1007, (socket) => socket.send(Buffer.from([0xff]), { binary: false })],
      ["/echo/socket", 1008, (socket) => { for (let i = 0; i < 1000; ++i) socket.ping(); }],
      ["/rooms/codes", 1003, (socket) => socket.send(Buffer.from("bytes"))],
    ];
    for (const [path, code, act] of cases) {
      const socket = await open(path, { perMessageDeflate: false });
      act(socket);
      assert.equal((await closed(socket)).code, code);
    }
  },
  async "refused handshakes"() {
    const refused = async (path, options) => {
      const socket = connect(path, options, http);
      const [request, response] = await once(socket, "unexpected-response");
      request.destroy();
      return response.statusCode;
    };
    assert.equal(await refused("/echo/socket", { origin: "https://evil.example" }), 403);
    assert.equal(await refused("/hello", {}), 200);
    assert.equal(await refused("/rooms/x?name=%ff", {}), 400);
    const page = await open("/echo/socket", { origin: http });
    page.terminate();
  },
  async "rooms go on, whoever is killed or replaced"() {
    const room = `/rooms/ws-${process.pid}`;
    const crowd = [];
    for (let i = 0; i < 8; ++i) crowd.push(await open(`${room}?name=ws${i}`, { perMessageDeflate: i % 2 === 0 }));
    let round = 0;
    let offset = 0;
    const talk = async () => {
      ++round;
      crowd.forEach((socket, i) => socket.send(`${round} from ${i}`));
      const expected = crowd.map((_, i) => `${round} from ${i}`).sort();
      for (const socket of crowd) {
        const said = [];
        for (let i = 0; i < crowd.length; ++i) {
          const message = JSON.parse(await next(socket));
          assert.equal(message.offset, offset + i + 1);  // no gap, no duplicate
          said.push(message.text);
        }
        assert.deepEqual(said.sort(), expected);
      }
      offset += crowd.length;
    };
    await talk();
    for (const pid of await ready(2)) {
      process.kill(pid, "SIGKILL");
      await talk();
      await ready(2);
    }
    for (const pid of await pids()) process.kill(pid, "SIGKILL");
    await talk();
    await ready(2);
    await run(program, ["reload", "--wait", "--control", control]);
    await talk();
    crowd.forEach((socket) => assert.equal(socket.readyState, WebSocket.OPEN));
    crowd.forEach((socket) => socket.terminate());
  },
};

for (const [name, test] of Object.entries(tests)) {
  const events = setInterval(() => {}, 1000);  // Node would end while nothing but a promise is waited for
  try {
    await test();
  } catch (error) {
    console.error(`ws: ${name}: failed`);
    throw error;
  }
  clearInterval(events);
  console.log(`ws: ${name}`);
}
process.exit(0);
