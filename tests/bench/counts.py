"""Figures that do not depend on the machine's noise: system calls, instructions, memory."""
import pathlib
import re
import signal
import subprocess
import time

import processes

CONNECTIONS_WHEN_IDLE = 10_000
UPLOAD_SIZE = 1024**3
_WARM_REQUESTS = 1024
_COUNTED_REQUESTS = 32_768  # enough that the servers' timers do not matter


def ask(server, build, requests, load):
    """Sends exactly that many requests, a multiple of 64 x load.pipeline, with fixed_client."""
    subprocess.run([build / "bench/fixed_client", str(server.port), server.target, load.raw_headers(),
                    server.expected.decode(), str(load.pipeline), str(requests)],
                   check=True, preexec_fn=processes.die_with_parent)


def system_calls(server, folder, asking):
    """A server's system calls by name while asking() runs under strace, divided by the number that asking() returns."""
    summary = pathlib.Path(folder) / f"{server.name}.strace"
    # Not Pronghorn's supervisor: what its timers do depends on how long the run takes.
    pids = [pid for pid in processes.process_tree(server.process.pid) if not _is_supervisor(pid)]
    command = ["strace", "-f", "-c", "-o", str(summary)]
    for pid in pids:
        command += ["-p", str(pid)]
    tracer = processes.start(command, pathlib.Path(folder) / "strace.log")
    try:
        processes.wait_until(lambda: all(_is_traced(pid) for pid in pids), f"strace on {server.name}")
        requests = asking()
        tracer.send_signal(signal.SIGINT)
        tracer.wait(timeout=20)
    finally:
        processes.stop(tracer)
    calls = {}
    for line in summary.read_text().splitlines():
        words = line.split()
        if len(words) >= 5 and words[0][0].isdigit() and words[-1] != "total":
            calls[words[-1]] = int(words[3]) / requests
    return calls


def _is_supervisor(pid):
    return b"pronghorn\0serve\0" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()


def _is_traced(pid):
    with open(f"/proc/{pid}/status") as status:
        return "TracerPid:\t0\n" not in status.read()


def instructions(server, build, core, folder, loads, requests=_COUNTED_REQUESTS):
    """Instructions in user space per request of each of `loads` (by name): the difference of two runs."""
    base = _instructions_of(server, build, core, folder, [(load, _WARM_REQUESTS) for load in loads.values()])
    figures = {}
    for name, counted in loads.items():
        more = [(load, _WARM_REQUESTS + (requests if load is counted else 0)) for load in loads.values()]
        figures[name] = (_instructions_of(server, build, core, folder, more) - base) / requests
    return figures


def _instructions_of(server, build, core, folder, asked):
    out = pathlib.Path(folder) / f"callgrind-{server.name}"
    out.mkdir(exist_ok=True)
    out.chmod(0o777)  # nginx's worker writes there too, as the user www-data
    for old in out.iterdir():
        old.unlink()
    prefix = ["valgrind", "--quiet", "--tool=callgrind", "--trace-children=yes", f"--callgrind-out-file={out}/%p"]
    with server.start(folder, core, prefix):
        for load, requests in asked:
            ask(server, build, requests, load)
    profiles = [path.read_text() for path in out.iterdir()]
    # Not Pronghorn's supervisor: what its timers do depends on how long the run takes. Nor its symbolizer: a request that
    # is slow under callgrind may be taken for one that blocks the loop.
    profiles = [profile for profile in profiles
                if not re.search(r"^cmd: .*pronghorn (serve|symbolize)\b", profile, re.M)]
    totals = [re.search(r"^(?:summary|totals): (\d+)", profile, re.M) for profile in profiles]
    return sum(int(total.group(1)) for total in totals if total)


def idle_memory(server):
    """KiB of the server's memory per idle connection that has had one response."""
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


def upload(server):
    """Uploads one body of UPLOAD_SIZE bytes: how much the server's peak of resident memory rose, and the CPU time."""
    server.ask()
    # Not Pronghorn's supervisor: what its timers do depends on how long the run takes.
    pids = [pid for pid in processes.process_tree(server.process.pid) if not _is_supervisor(pid)]
    for pid in pids:
        processes.reset_peak(pid)
    before = sum(processes.status_kib(pid, "VmRSS") for pid in pids)
    cpu, begin = processes.cpu_ns(server.process.pid), time.monotonic()
    piece = bytes(256 * 1024)
    with server.connect() as connection:
        connection.sendall(f"POST /upload HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {UPLOAD_SIZE}\r\n\r\n".encode())
        for _ in range(UPLOAD_SIZE // len(piece)):
            connection.sendall(piece)
        answer = connection.recv(65536)
    if not answer.startswith(b"HTTP/1.1 200 ") or not answer.endswith(str(UPLOAD_SIZE).encode()):
        raise RuntimeError(f"{server.name} answered an upload with {answer[:200]!r}")
    return {"before_kib": before, "peak_kib": sum(processes.status_kib(pid, "VmHWM") for pid in pids),
            "seconds": time.monotonic() - begin, "cpu_ms": (processes.cpu_ns(server.process.pid) - cpu) / 1e6}
