// The same route as tests/bench/bench_app.cpp on the stack that a Node author would use: a cluster of workers,
// express, express-session with connect-redis, rate-limiter-flexible.
//
//   node server.mjs PORT WORKERS REDIS_SOCKET
import cluster from "node:cluster";
import { RedisStore } from "connect-redis";
import express from "express";
import session from "express-session";
import { RateLimiterRedis } from "rate-limiter-flexible";
import { createClient } from "redis";

const [port, workers, socket] = process.argv.slice(2);

if (cluster.isPrimary) {
  for (let i = 0; i < Number(workers); ++i) cluster.fork();
} else {
  await serve();
}

async function serve() {
  const redis = createClient({ socket: { path: socket } });
  await redis.connect();
  const limiter = new RateLimiterRedis({
    storeClient: redis, useRedisPackage: true, keyPrefix: "node:limit", points: 10_000_000, duration: 60,
  });

  const app = express();
  app.disable("x-powered-by");
  app.get("/", (request, response) => { response.type("text/plain").send("Hello, World!"); });
  app.use(async (request, response, next) => {
    try {
      const state = await limiter.consume(request.ip);
      response.set("RateLimit-Limit", "10000000");
      response.set("RateLimit-Remaining", String(state.remainingPoints));
      response.set("RateLimit-Reset", String(Math.ceil(state.msBeforeNext / 1000)));
      next();
    } catch {
      response.sendStatus(429);
    }
  });
  app.use(session({
    store: new RedisStore({ client: redis, prefix: "node:s:" }), secret: "benchmark", name: "session",
    resave: false, saveUninitialized: false, cookie: { httpOnly: true, sameSite: "lax", maxAge: 24 * 3_600_000 },
  }));
  app.get("/session", (request, response) => {
    request.session.visits = (request.session.visits ?? 0) + 1;
    response.json({ visits: request.session.visits });
  });
  app.listen(Number(port), "127.0.0.1");
}
