// Node's own HTTP server with the answer of every other server here: node node_hello.mjs PORT
import http from "node:http";

const server = http.createServer((request, response) => {
  response.writeHead(200, { "Content-Type": "text/plain", "Content-Length": "13" });
  response.end("Hello, World!");
});
server.keepAliveTimeout = 65_000;
server.listen(Number(process.argv[2]), "127.0.0.1");
