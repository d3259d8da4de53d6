"""One run of wrk against one server, and what it cost."""
import json
import os
import pathlib
import subprocess
import tempfile

import processes

HERE = pathlib.Path(__file__).parent
CONNECTIONS = 64
PACED_RATE = 20_000  # a sixth of what one worker can do

BROWSER_HEADERS = """\
User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36
Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8
Accept-Language: en-GB,en;q=0.9,de;q=0.8
Accept-Encoding: gzip, deflate, br, zstd
Cache-Control: max-age=0
Connection: keep-alive
Cookie: theme=dark; consent=necessary; tracking=0c9f8a7b6d5e4f3a2b1c
DNT: 1
Sec-Ch-Ua: "Chromium";v="131", "Not_A Brand";v="24"
Sec-Ch-Ua-Mobile: ?0
Sec-Ch-Ua-Platform: "Linux"
Sec-Fetch-Dest: document
Sec-Fetch-Mode: navigate
Sec-Fetch-Site: none
Sec-Fetch-User: ?1
Upgrade-Insecure-Requests: 1
"""


class Load:
    """What wrk sends. `slack`: by how many bytes a response may differ from the one seen before or after."""

    def __init__(self, headers="", pipeline=1, cookies=None, close=False, slack=0):
        self.headers, self.pipeline, self.cookies, self.close, self.slack = headers, pipeline, cookies, close, slack

    def raw_headers(self):
        return self.headers.replace("\n", "\r\n")


CLOSE = Load(headers="Connection: close\n", close=True)


def passive_opens():
    with open("/proc/net/snmp") as counters:
        names, values = [line.split() for line in counters if line.startswith("Tcp:")]
    return int(values[names.index("PassiveOpens")])


def run_wrk(server, load, seconds, core):
    """wrk's own figures; RuntimeError if one response was not the expected one."""
    env = {**os.environ, "BENCH_HEADERS": load.headers, "BENCH_PIPELINE": str(load.pipeline)}
    if load.cookies:
        env["BENCH_COOKIES"] = str(load.cookies[server.name])
    command = ["taskset", "-c", str(core), "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s",
               str(HERE / "load.lua"), f"{server.scheme}://127.0.0.1:{server.port}{server.target}"]
    output = subprocess.run(command, env=env, stdout=subprocess.PIPE, check=True, text=True,
                            preexec_fn=processes.die_with_parent).stdout
    figures = json.loads(output.strip().splitlines()[-1])
    failures = {name: figures[name] for name in ("connect", "read", "write", "status", "timeout") if figures[name]}
    if failures or figures["requests"] == 0:
        raise RuntimeError(f"{server.name}: {figures['requests']} answers, failed: {failures}\n"
                           f"{server.log.read_text()[-2000:]}")
    return figures


def measure(server, load, seconds, client_core):
    """One round: requests per second, CPU per request, latencies."""
    before = _answer_size(server, load)
    opened, cpu = passive_opens(), processes.cpu_ns(server.process.pid)
    figures = run_wrk(server, load, seconds, client_core)
    cpu = processes.cpu_ns(server.process.pid) - cpu
    opened = passive_opens() - opened
    _check_sizes(server, load, figures, before, _answer_size(server, load))
    if load.close and opened < 0.98 * figures["requests"]:
        raise RuntimeError(f"{server.name}: {figures['requests']} requests on {opened} connections; "
                           "each should have its own")
    return {"requests": figures["requests"], "requests_per_s": figures["requests"] / figures["seconds"],
            "cpu_us": cpu / 1e3 / figures["requests"], "p50_ms": figures["p50_ms"], "p99_ms": figures["p99_ms"]}


def handshakes(server, build, kind, seconds, client_core):
    """One round of TLS connections with one request each. `kind`: full or resumed."""
    cpu = processes.cpu_ns(server.process.pid)
    command = ["taskset", "-c", str(client_core), build / "bench/tls_client", str(server.port), kind, str(seconds)]
    output = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True,
                            preexec_fn=processes.die_with_parent).stdout
    cpu = processes.cpu_ns(server.process.pid) - cpu
    figures = json.loads(output)
    return {"handshakes": figures["handshakes"], "cpu_us": cpu / 1e3 / figures["handshakes"],
            "per_cpu_s": figures["handshakes"] / (cpu / 1e9)}


def latency(server, build, seconds, client_core):
    """Latencies at PACED_RATE requests per second, measured from each request's scheduled time."""
    command = ["taskset", "-c", str(client_core), build / "bench/paced_client", str(server.port), server.target,
               server.expected.decode(), str(PACED_RATE), str(seconds)]
    output = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True,
                            preexec_fn=processes.die_with_parent).stdout
    return json.loads(output)


def _answer_size(server, load):
    headers = load.raw_headers()
    if load.cookies:
        headers += "Cookie: " + load.cookies[server.name].read_text().splitlines()[0] + "\r\n"
    status, _, body, size = server.ask(headers=headers)
    if status != 200 or not body.startswith(server.expected):
        raise RuntimeError(f"{server.name} answered {status} {body[:200]!r}")
    return size


def _check_sizes(server, load, figures, before, after):
    """Checks that every response has a known size, except those that were on their way at the end."""
    unfinished = CONNECTIONS * load.pipeline * (max(before, after) + load.slack)
    low = figures["requests"] * (min(before, after) - load.slack)
    high = figures["requests"] * (max(before, after) + load.slack) + unfinished
    if not low <= figures["bytes"] <= high:
        raise RuntimeError(f"{server.name}: {figures['requests']} answers of {before} bytes came as "
                           f"{figures['bytes']} bytes")


def make_sessions(server, count, folder):
    """Begins `count` sessions; the file of their cookies."""
    path = pathlib.Path(tempfile.mkstemp(dir=folder, suffix=f"-{server.name}.cookies")[1])
    cookies = []
    for _ in range(count):
        status, head, _, _ = server.ask()
        lines = [line for line in head.split("\r\n") if line.lower().startswith("set-cookie:")]
        if status != 200 or not lines:
            raise RuntimeError(f"{server.name}: no session was begun: {head}")
        cookies.append(lines[0].split(":", 1)[1].split(";")[0].strip())
    path.write_text("\n".join(cookies) + "\n")
    return path
