"""What is kept in Redis beside sessions: jobs against BullMQ, and events to many clients."""
import contextlib
import json
import os
import select
import subprocess
import time

import processes
import servers

CLIENTS = 1_000
EVENT_PAUSE_S = 0.02
JOBS, BULL_JOBS = 40_000, 10_000  # a second or two of each
CONCURRENCY = 100


@contextlib.contextmanager
def redis(folder, core):
    """The socket of a redis-server of its own."""
    socket = os.path.join(folder, "redis.sock")
    command = ["redis-server", "--port", "0", "--unixsocket", socket, "--save", "", "--appendonly", "no"]
    process = processes.start(command, os.path.join(folder, "redis.log"), core)
    try:
        processes.wait_until(lambda: os.path.exists(socket), "redis-server")
        yield socket
    finally:
        processes.stop(process)


def _redis_us(socket):
    done = subprocess.run(["redis-cli", "-s", socket, "info", "cpu"], capture_output=True, text=True, check=True)
    used = dict(line.split(":") for line in done.stdout.splitlines() if ":" in line)
    return 1e6 * (float(used["used_cpu_sys"]) + float(used["used_cpu_user"]))


def _post(server, target, body=b""):
    """A request on a new connection, which may take long; its response's head."""
    with server.connect() as connection:
        connection.settimeout(300)
        connection.sendall(f"POST {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        head = connection.recv(65536)
    if not head.startswith(b"HTTP/1.1 20"):
        raise RuntimeError(f"{server.name} answered {target} with {head[:200]!r}")
    return head


def pronghorn_jobs(build, folder, core, socket):
    """One round: a server that does not run the jobs enqueues them, then one that does starts."""
    address = f"unix:{socket}"
    with servers.pronghorn(build, redis=address, name="filler").start(folder, core) as filler:
        _post(filler, f"/jobs/{JOBS}")
    redis_us = _redis_us(socket)
    with servers.pronghorn(build, redis=address, name="jobs", settings={"BENCH_JOBS": "run"}).start(folder, core) as server:
        def finished():
            figures = json.loads(server.ask("/jobs")[2])
            return figures if figures["done"] >= JOBS else None
        figures = processes.wait_until(finished, "all jobs", 120, 0.1)
        redis_us = _redis_us(socket) - redis_us
    if figures["done"] != JOBS:
        raise RuntimeError(f"{figures['done']} jobs of {JOBS} were run")
    return _job_figures({**figures, "redis_us": redis_us})


def bull_jobs(build, core, socket):
    command = ["taskset", "-c", str(core), "node", build / "bench/node_jobs/bull.mjs", socket, str(BULL_JOBS), str(CONCURRENCY)]
    output = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, check=True, text=True,
                            env={**os.environ, "NODE_ENV": "production"}, preexec_fn=processes.die_with_parent).stdout
    return _job_figures(json.loads(output))


def _job_figures(raw):
    return {"jobs_per_s": raw["done"] / raw["seconds"], "cpu_us": raw["cpu_us"] / raw["done"],
            "redis_us": raw["redis_us"] / raw["done"]}


def tokens(server, core):
    """µs of one ES256 token, and of a verification by OpenSSL alone."""
    figures = json.loads(server.ask("/tokens")[2])
    done = subprocess.run(["taskset", "-c", str(core), "openssl", "speed", "-seconds", "1", "-mr", "ecdsap256"], capture_output=True, text=True, check=True)
    line = next(line for line in done.stdout.splitlines() if line.startswith("+F4:"))
    return {**figures, "openssl_us": 1e6 / float(line.split(":")[-1])}


class Listeners:
    """CLIENTS connections that receive server-sent events, spread over the workers."""

    def __init__(self, server):
        self.poll, self.sockets, self.ready, self.bytes, self.events = select.epoll(), {}, set(), 0, 0
        for _ in range(CLIENTS):
            connection = server.connect()
            connection.sendall(b"GET /events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            connection.setblocking(False)
            self.sockets[connection.fileno()] = connection
            self.poll.register(connection, select.EPOLLIN)

    def receive(self, seconds):
        """Reads what is there, or comes within that time."""
        for number, _ in self.poll.poll(seconds, 1024):
            data = self.sockets[number].recv(65536)
            if not data:
                raise RuntimeError("a stream of events was closed")
            self.ready.add(number)
            self.events += data.count(b"data: ")
            self.bytes += len(data)

    def close(self):
        for connection in self.sockets.values():
            connection.close()
        self.poll.close()


def events(build, folder, core, client_core, socket, seconds):
    """One round: CPU of two workers per delivered event, and what a bare write of the same bytes to as many clients costs."""
    os.sched_setaffinity(0, {client_core})  # the clients are in this process
    settings = {"PRONGHORN_MAX_CONNECTIONS": str(5 * CLIENTS)}
    server = servers.pronghorn(build, workers=2, redis=f"unix:{socket}", name="events", settings=settings)
    count = max(int(seconds / EVENT_PAUSE_S), 1)
    with server.start(folder, core):
        listeners = Listeners(server)
        try:
            processes.wait_until(lambda: listeners.receive(0.2) or len(listeners.ready) == CLIENTS, "all streams", 60, 0)
            _post(server, "/events", b"warm up")
            processes.wait_until(lambda: listeners.receive(0.2) or listeners.events >= CLIENTS, "the first event", 60, 0)
            idle = processes.cpu_ns(server.process.pid)
            time.sleep(1)
            idle = processes.cpu_ns(server.process.pid) - idle
            listeners.events = listeners.bytes = 0
            begin, cpu = time.monotonic(), processes.cpu_ns(server.process.pid)
            for number in range(count):
                due = begin + number * EVENT_PAUSE_S
                while (left := due - time.monotonic()) > 0:
                    listeners.receive(left)
                _post(server, "/events", b"event %06d: the price of apples is 3.14" % number)
            processes.wait_until(lambda: listeners.receive(0.2) or listeners.events >= count * CLIENTS, "all events", 60, 0)
            cpu = processes.cpu_ns(server.process.pid) - cpu - idle * (time.monotonic() - begin)
            delivered, size = listeners.events, listeners.bytes // listeners.events
        finally:
            listeners.close()
    command = ["taskset", "-c", str(core), build / "bench/bare_write", CLIENTS, count, size, int(EVENT_PAUSE_S * 1000)]
    bare = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, check=True, text=True,
                          preexec_fn=processes.die_with_parent).stdout
    return {"delivered": delivered, "bytes": size, "event_us": cpu / 1e3 / delivered,
            "write_us": json.loads(bare)["us_per_event"]}
