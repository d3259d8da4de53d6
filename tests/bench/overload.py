"""One worker that is asked for more than it can do: goodput, latency and what is refused. See docs/overload.md."""
import json
import statistics
import subprocess
import threading
import time

import processes

TIMES = (0.7, 1, 2, 4, 10)  # of what the worker can do
BURN = "/burn?ms=2"


def ask(server, build, core, rate, seconds, target=BURN):
    command = ["taskset", "-c", str(core), build / "bench/impatient_client", str(server.port), target, str(rate),
               str(seconds)]
    output = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True,
                            preexec_fn=processes.die_with_parent).stdout
    return json.loads(output)


def capacity(server, build, core, seconds):
    """Requests a second that one core can do, from the CPU time of one, and the p99 of a worker at a tenth of that."""
    before = processes.cpu_ns(server.process.pid)
    figures = ask(server, build, core, 50, seconds)
    used = processes.cpu_ns(server.process.pid) - before
    return 1e9 * figures["served"] / used, figures["p99_ms"]


def measure(server, build, core, rounds, seconds):
    """Rows of one server: for each multiple of its capacity the medians of the rounds."""
    peak, unloaded_p99 = capacity(server, build, core, seconds)
    rows = {}
    for times in TIMES:
        runs = []
        for _ in range(rounds):
            runs.append(ask(server, build, core, times * peak, seconds))
            time.sleep(1)  # until the worker is at rest
        rows[times] = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
        rows[times]["goodput"] = rows[times]["served"] / seconds
        rows[times]["share"] = rows[times]["goodput"] / peak
    return {"capacity": peak, "unloaded_p99_ms": unloaded_p99, "times": rows}


def critical(server, build, core, peak, seconds):
    """Critical requests, a fifth of what the worker can do, beside four times of what it can do."""
    others = {}
    flood = threading.Thread(target=lambda: others.update(ask(server, build, core, 4 * peak, seconds)))
    flood.start()
    figures = ask(server, build, core, peak / 5, seconds, "/burn/critical?ms=2")
    flood.join()
    return {"critical": figures, "normal": others}


def recovery(server, build, core, peak, seconds):
    """What is refused at 0.7 of the capacity, one second after four times of it."""
    ask(server, build, core, 4 * peak, seconds)
    time.sleep(1)
    return ask(server, build, core, 0.7 * peak, seconds)
