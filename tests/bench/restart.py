"""Measures what kill -9 of a worker costs: until its slot has a ready one, and until its connections are served."""
import json
import os
import signal
import statistics
import time

import processes
import servers

KILLS = 20
KEPT = 10_000  # connections
_REQUEST = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
_STATUS = "Accept: application/json\r\n"


def kill_to_ready(build, folder):
    """Milliseconds from kill -9 to the replacement being ready, once for each of KILLS slots: a slot's first exit."""
    endless = {"PRONGHORN_KEEP_ALIVE_REQUESTS": "0"}  # on a slow machine the witness is asked more than 1,000 times
    with servers.pronghorn(build, workers=KILLS + 1, settings=endless).start(folder, core=None) as server:
        everybody_ready = lambda: all(w["state"] == "ready" for w in _workers(server.ask("/status", _STATUS)[2]))
        processes.wait_until(everybody_ready, "all workers ready")
        with server.connect() as witness:  # a worker that is not killed reports on the others
            witness_pid = json.loads(servers.exchange(witness, "/worker")[2])["pid"]
            ask = lambda: _workers(servers.exchange(witness, "/status", _STATUS)[2])
            victims = [worker for worker in ask() if worker["pid"] != witness_pid]
            times = [_kill_one(victim, ask) for victim in victims]
    return {"median_ms": statistics.median(times), "max_ms": max(times), "times_ms": times}


def kept_over_kill(build, folder):
    """Kills the only worker, which has KEPT connections, and asks once more on each: seconds until all have been
    answered; RuntimeError if one has not. Also the KiB of memory that its guardian did not share."""
    with servers.pronghorn(build).start(folder, core=None) as server:
        kept = []
        try:
            for _ in range(KEPT):
                kept.append(server.connect())
                _ask_on(kept[-1])
            worker = _workers(server.ask("/status", _STATUS)[2])[0]["pid"]
            guardian = next(pid for pid in processes.process_tree(server.process.pid) if _is_guardian(pid))
            own = processes.private_dirty_kib(guardian)
            begin = time.monotonic()
            os.kill(worker, signal.SIGKILL)
            for connection in kept:
                connection.sendall(_REQUEST)
            for connection in kept:
                _read_on(connection)
            return {"connections": KEPT, "seconds": time.monotonic() - begin, "guardian_kib": own}
        finally:
            for connection in kept:
                connection.close()


def _ask_on(connection):
    connection.sendall(_REQUEST)
    _read_on(connection)


def _read_on(connection):
    answer = connection.recv(65536)
    if not answer.startswith(b"HTTP/1.1 200 ") or not answer.endswith(servers.HELLO):
        raise RuntimeError(f"a kept connection was answered {answer[:200]!r}")


def _is_guardian(pid):
    with open(f"/proc/{pid}/comm") as name:
        return name.read().startswith("pronghorn-guard")


def _workers(body):
    return json.loads(body)["workers"]


def _kill_one(victim, ask):
    def replaced():
        now = next(worker for worker in ask() if worker["slot"] == victim["slot"])
        return now["pid"] != victim["pid"] and now["state"] == "ready"

    begin = time.monotonic()
    os.kill(victim["pid"], signal.SIGKILL)
    processes.wait_until(replaced, f"a new worker in slot {victim['slot']}", pause=0)
    return (time.monotonic() - begin) * 1e3
