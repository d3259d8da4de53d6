// No-op jobs on BullMQ: as the jobs of tests/bench/bench_app.cpp.
//
//   node bull.mjs REDIS_SOCKET COUNT CONCURRENCY
//
// Fills the queue, then runs all. Prints one line of JSON: how long from the first to the last, and the CPU of both sides.
import { Queue, Worker } from "bullmq";
import { Redis } from "ioredis";
import { performance } from "node:perf_hooks";

const [socket, count, concurrency] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])];
const connection = { path: socket, maxRetriesPerRequest: null };
const queue = new Queue("bench", { connection });
const client = new Redis(socket);

async function redisMicroseconds() {
  const text = await client.info("cpu");
  const of = (name) => Number(text.match(new RegExp(`${name}:([0-9.]+)`))[1]);
  return 1e6 * (of("used_cpu_sys") + of("used_cpu_user"));
}

const options = { removeOnComplete: true, attempts: 5 };
for (let added = 0; added < count; added += 100) {
  await Promise.all(Array.from({ length: 100 }, () => queue.add("noop", { data: "payload" }, options)));
}
const redis = await redisMicroseconds();
const begin = performance.now(), cpu = process.cpuUsage();
let done = 0;
const worker = new Worker("bench", async () => {}, { connection, concurrency });
await new Promise((resolve) => worker.on("completed", () => { if (++done === count) resolve(); }));
const used = process.cpuUsage(cpu), seconds = (performance.now() - begin) / 1e3;
console.log(JSON.stringify({ done, seconds, cpu_us: used.user + used.system,
                             redis_us: await redisMicroseconds() - redis }));
process.exit(0);
