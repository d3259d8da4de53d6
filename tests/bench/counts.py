"""Figures that do not depend on the noise of the machine: system calls, instructions, memory of idle connections."""
import pathlib
import re
import signal
import subprocess

import load
import processes

CONNECTIONS_WHEN_IDLE = 4000
_WARM_REQUESTS = 640
_COUNTED_REQUESTS = 32_000


def system_calls(server, client_core, folder):
    """System calls per request, all and by name, of a server under load while strace counts."""
    summary = pathlib.Path(folder) / f"{server.name}.strace"
    pids = processes.process_tree(server.process.pid)
    command = ["strace", "-f", "-c", "-o", str(summary)]
    for pid in pids:
        command += ["-p", str(pid)]
    tracer = processes.start(command, pathlib.Path(folder) / "strace.log")
    try:
        processes.wait_until(lambda: all(_is_traced(pid) for pid in pids), f"strace on {server.name}")
        figures = load.run_wrk(server, load.Load(), 2, client_core)
        tracer.send_signal(signal.SIGINT)
        tracer.wait(timeout=20)
    finally:
        processes.stop(tracer)
    calls = {}
    for line in summary.read_text().splitlines():
        words = line.split()
        if len(words) >= 5 and words[0][0].isdigit() and words[-1] != "total":
            calls[words[-1]] = int(words[3]) / figures["requests"]
    return {"all": sum(calls.values()), "by_name": {name: count for name, count in calls.items() if count >= 0.005}}


def _is_traced(pid):
    with open(f"/proc/{pid}/status") as status:
        return "TracerPid:\t0\n" not in status.read()


def instructions(server, build, core, folder, headers):
    """Instructions in user space per request: the difference of two runs with different numbers of requests."""
    few = _instructions_of(server, build, core, folder, headers, _WARM_REQUESTS)
    many = _instructions_of(server, build, core, folder, headers, _WARM_REQUESTS + _COUNTED_REQUESTS)
    return (many - few) / _COUNTED_REQUESTS


def _instructions_of(server, build, core, folder, headers, requests):
    out = pathlib.Path(folder) / f"callgrind-{server.name}-{requests}"
    out.mkdir(exist_ok=True)
    out.chmod(0o777)  # nginx's worker writes there too, as the user www-data
    for old in out.iterdir():
        old.unlink()
    prefix = ["valgrind", "--quiet", "--tool=callgrind", "--trace-children=yes", f"--callgrind-out-file={out}/%p"]
    with server.start(folder, core, prefix):
        client = [build / "bench/fixed_client", str(server.port), str(requests), headers, server.expected.decode()]
        subprocess.run(client, check=True, preexec_fn=processes.die_with_parent)
    totals = [re.search(r"^(?:summary|totals): (\d+)", path.read_text(), re.M) for path in out.iterdir()]
    return sum(int(total.group(1)) for total in totals if total)


def idle_memory(server):
    """KiB of the server's memory for each connection that has been answered once and is kept open."""
    server.ask()
    before = processes.memory_kib(server.process.pid)
    connections = []
    try:
        for _ in range(CONNECTIONS_WHEN_IDLE):
            connections.append(server.connect())
            connections[-1].sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        for connection in connections:
            if not connection.recv(65536).startswith(b"HTTP/1.1 200 "):
                raise RuntimeError(f"{server.name} did not keep {CONNECTIONS_WHEN_IDLE} connections")
        return (processes.memory_kib(server.process.pid) - before) / CONNECTIONS_WHEN_IDLE
    finally:
        for connection in connections:
            connection.close()
