// The WebSocket server that Pronghorn is compared with: ws on Node. /echo/socket echoes; what is sent to /topic goes to
// all who are there, except those with ?mute=1.
import { createServer } from "node:http";
import { WebSocketServer } from "ws";

const server = createServer((_, response) => response.end("Hello, World!"));
const sockets = new WebSocketServer({ server, perMessageDeflate: false });
const topic = new Set();
sockets.on("connection", (socket, request) => {
  const url = new URL(request.url, "http://localhost");
  if (url.pathname === "/echo/socket") {
    socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary }));
    return;
  }
  if (!url.searchParams.has("mute")) topic.add(socket);
  socket.on("message", (data, isBinary) => {
    for (const each of topic) each.send(data, { binary: isBinary });
  });
  socket.on("close", () => topic.delete(socket));
});
server.listen(Number(process.argv[2]), "127.0.0.1");
