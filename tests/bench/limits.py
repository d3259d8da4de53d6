"""Limits on what does not depend on the machine's noise: instructions (callgrind) and system calls (strace) of a
request, memory of an idle connection. A test of the release build: python3 tests/bench/limits.py build"""
import pathlib
import resource
import subprocess
import sys
import tempfile

import counts
import load
import processes
import servers

# A little above what a request costs today. Lower them when it costs less; ./scripts/bench --only instructions,syscalls
# compares with others.
INSTRUCTIONS = {"small": 3_090, "browser": 6_920, "pipelined": 2_440, "close": 6_410}
# Without epoll_wait, whose number of events per call is random. Includes opening and closing 64 connections.
SYSTEM_CALLS = {"small": 2.06, "browser": 2.06, "pipelined": 0.18, "close": 4.3}
KIB_PER_IDLE_CONNECTION = 1.0

LOADS = {"small": load.Load(), "browser": load.Load(headers=load.BROWSER_HEADERS), "pipelined": load.Load(pipeline=16),
         "close": load.CLOSE}  # a connection for each request
COUNTED = 16_384  # requests of each kind
# Under callgrind and strace a turn of the loop takes so long that the worker looks overloaded, and asks the kernel how
# long requests have waited. An ordinary request takes the same instructions with overload control off.
SETTINGS = {"PRONGHORN_OVERLOAD": "off"}
SKIPPED = 77


def works(command):
    """False if a tool is not installed, or may not trace here."""
    try:
        return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0
    except FileNotFoundError:
        return False


def system_calls(server, build, folder, how):
    def asking():
        counts.ask(server, build, COUNTED, how)
        return COUNTED
    calls = counts.system_calls(server, folder, asking)
    return sum(number for name, number in calls.items() if not name.startswith("epoll_") or name == "epoll_ctl")


def measure_instructions(build, folder, core):
    figures = counts.instructions(servers.pronghorn(build, settings=SETTINGS), build, core, folder, LOADS, COUNTED)
    return [(f"instructions, {name}", figures[name], limit) for name, limit in INSTRUCTIONS.items()]


def measure_system_calls(build, folder, core):
    rows = []
    for name, limit in SYSTEM_CALLS.items():
        with servers.pronghorn(build, settings=SETTINGS).start(folder, core) as server:
            rows.append((f"system calls, {name}", system_calls(server, build, folder, LOADS[name]), limit))
    return rows


def measure_memory(build, folder, core):
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < counts.CONNECTIONS_WHEN_IDLE + 200:
        print(f"skipped: memory per idle connection needs ulimit -Hn above {counts.CONNECTIONS_WHEN_IDLE + 200}")
        return []
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with servers.pronghorn(build, settings=SETTINGS).start(folder, core) as server:
        return [("KiB per idle connection", counts.idle_memory(server), KIB_PER_IDLE_CONNECTION)]


def measured(measure, build, folder, core):
    """Measures again, at most twice, if something is above its limit: what else runs on the machine can only add."""
    rows = measure(build, folder, core)
    for _ in range(2):
        if all(value <= limit for _, value, limit in rows):
            break
        again = measure(build, folder, core)
        rows = [(what, min(value, second), limit) for (what, value, limit), (_, second, _) in zip(rows, again)]
    return rows


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    core, _ = processes.cores()
    rows, skipped = [], False
    with tempfile.TemporaryDirectory(prefix="pronghorn-limits-") as folder:
        for probe, measure in ((["valgrind", "--quiet", "--tool=none", "true"], measure_instructions),
                               (["strace", "-f", "-c", "-o", "/dev/null", "true"], measure_system_calls)):
            if works(probe):
                rows += measured(measure, build, folder, core)
            else:
                skipped = True
                print(f"skipped: {probe[0]} cannot run here; ./scripts/setup installs it, a container may need "
                      "--cap-add SYS_PTRACE")
        rows += measured(measure_memory, build, folder, core)
    for what, value, limit in rows:
        print(f"{what}: {value:,.3f}, limit {limit:,}{'' if value <= limit else ': TOO MANY'}")
    if any(value > limit for _, value, limit in rows):
        sys.exit(1)
    sys.exit(SKIPPED if skipped else 0)


if __name__ == "__main__":
    main()
