"""Measures how long a slot has no ready worker after kill -9."""
import json
import os
import signal
import statistics
import time

import processes
import servers

KILLS = 20
_STATUS = "Accept: application/json\r\n"


def kill_to_ready(build, folder):
    """Milliseconds from kill -9 to the replacement being ready, once for each of KILLS slots: a slot's first exit."""
    with servers.pronghorn(build, workers=KILLS + 1).start(folder, core=None) as server:
        everybody_ready = lambda: all(w["state"] == "ready" for w in _workers(server.ask("/status", _STATUS)[2]))
        processes.wait_until(everybody_ready, "all workers ready")
        with server.connect() as witness:  # a worker that is not killed reports on the others
            witness_pid = json.loads(servers.exchange(witness, "/worker")[2])["pid"]
            ask = lambda: _workers(servers.exchange(witness, "/status", _STATUS)[2])
            victims = [worker for worker in ask() if worker["pid"] != witness_pid]
            times = [_kill_one(victim, ask) for victim in victims]
    return {"median_ms": statistics.median(times), "max_ms": max(times), "times_ms": times}


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
