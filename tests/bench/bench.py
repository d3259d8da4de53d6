"""The benchmark: see docs/performance.md. Run by ./scripts/bench, which builds what it needs."""
import argparse
import contextlib
import json
import os
import pathlib
import platform
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import counts
import http2
import load
import overload
import processes
import report
import restart
import servers
import sockets
import state

SCENARIOS = ("keepalive", "browser", "pipelined", "close", "file_1k", "file_1m", "routes", "coroutine", "access_log",
             "latency", "session", "session_cluster", "local_copy", "jobs", "events", "tokens", "sockets", "tls", "tls_file_1m", "syscalls", "instructions", "idle", "upload", "restart",
             "overload", "http2")
SMALL = {"small": load.Load()}
SESSIONS = 256
WARM_UP_SECONDS = 2
SESSION_WARM_UP_SECONDS = 8  # the Node stack gets faster for this long, because its code is compiled


def arguments():
    parser = argparse.ArgumentParser(prog="./scripts/bench",
                                     description="Compares Pronghorn with its peers and its limits.")
    parser.add_argument("--rounds", type=int, default=5,
                        help="rounds of each scenario, servers taking turns (default 5)")
    parser.add_argument("--seconds", type=int, default=4, help="length of one round for one server (default 4)")
    parser.add_argument("--only", default=",".join(SCENARIOS), metavar="A,B",
                        help=f"scenarios to run (default all): {', '.join(SCENARIOS)}")
    parser.add_argument("--servers", metavar="A,B", help="only these servers (default all), such as pronghorn,rawepoll")
    parser.add_argument("--uwebsockets", metavar="PROGRAM", help="tests/bench/uwebsockets.cpp, built: a peer of `sockets`")
    parser.add_argument("--json", type=pathlib.Path,
                        help="where to write the figures (default build/bench/results.json)")
    parser.add_argument("--build", type=pathlib.Path, default="build", help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.only = options.only.split(",")
    unknown = set(options.only) - set(SCENARIOS)
    if unknown:
        parser.error(f"--only: unknown scenario {', '.join(sorted(unknown))}; known: {', '.join(SCENARIOS)}")
    if options.rounds < 1 or options.seconds < 1:
        parser.error("--rounds and --seconds: at least 1")
    options.build = options.build.resolve()
    options.json = options.json or options.build / "bench/results.json"
    return options


class Bench:
    def __init__(self, options, folder):
        self.options, self.folder = options, folder
        self.server_core, self.client_core = processes.cores()
        self.results = {}

    def run(self, scenario):
        print(f"\n{scenario}", flush=True)
        begin = time.monotonic()
        self.results[scenario] = getattr(self, scenario)()
        print(f"({time.monotonic() - begin:.0f} s)", flush=True)

    def chosen(self, candidates):
        if not self.options.servers:
            return candidates
        return [server for server in candidates if server.name in self.options.servers.split(",")]

    def keepalive(self):
        return self.rounds(servers.hello_servers(self.options.build), load.Load())

    def browser(self):
        return self.rounds(servers.hello_servers(self.options.build), load.Load(headers=load.BROWSER_HEADERS))

    def pipelined(self):
        return self.rounds(servers.hello_servers(self.options.build), load.Load(pipeline=16))

    def close(self):
        everybody = servers.hello_servers(self.options.build, close=True)
        return self.rounds(everybody, load.CLOSE)

    def file_1k(self):
        return self.rounds(servers.file_servers(self.options.build, self.folder, "1KiB.txt", 1024), load.Load())

    def file_1m(self):
        return self.rounds(servers.file_servers(self.options.build, self.folder, "1MiB.txt", 1024**2), load.Load())

    def routes(self):
        return self.rounds_and_instructions(servers.with_routes(self.options.build))

    def coroutine(self):
        return self.rounds_and_instructions(servers.handlers(self.options.build))

    def access_log(self):
        return self.rounds_and_instructions(servers.logging(self.options.build))

    def rounds_and_instructions(self, candidates):
        """{"cpu": as of rounds(), "instructions": by server}; for differences too small for a clock."""
        results = {"cpu": self.rounds(candidates, load.Load()), "instructions": {}}
        for server in self.chosen(candidates):
            progress(f"{server.name}, instructions")
            value = counts.instructions(server, self.options.build, self.server_core, self.folder, SMALL)["small"]
            results["instructions"][server.name] = value
        progress("")
        print(report.table(["server", "instructions"], [[n, f"{v:,.0f}"] for n, v in results["instructions"].items()]))
        return results

    def latency(self):
        results = {}
        with contextlib.ExitStack() as running:
            started = [running.enter_context(server.start(self.folder, self.server_core))
                       for server in self.chosen(servers.hello_servers(self.options.build)) if server.name != "node"]
            for number in range(self.options.rounds):
                progress(f"round {number + 1} of {self.options.rounds}")
                for server in started:
                    one = load.latency(server, self.options.build, self.options.seconds, self.client_core)
                    results.setdefault(server.name, []).append(one)
        progress("")
        print(f"at {load.PACED_RATE:,} requests/s\n" + report.latency_table(results))
        return results

    def http2(self):
        """{server: rounds}; HTTP/2 without TLS and with it, 100 streams on each of 10 connections."""
        results = {}
        with contextlib.ExitStack() as running:
            started = [running.enter_context(server.start(self.folder, self.server_core))
                       for server in self.chosen(http2.candidates(self.options.build, self.folder))]
            for server in started:
                http2.run_h2load(server, http2.WARM_UP_SECONDS, self.client_core)
            for number in range(self.options.rounds):
                progress(f"round {number + 1} of {self.options.rounds}")
                for server in started:
                    one = http2.measure(server, self.options.seconds, self.client_core)
                    results.setdefault(server.name, []).append(one)
        progress("")
        print(report.http2_table(results))
        return results

    def overload(self):
        """{server: figures}; with and without overload control."""
        results = {}
        for name, arguments in (("pronghorn", []), ("overload off", ["--overload", "off"])):
            with servers.demo(self.options.build, name, arguments).start(self.folder, self.server_core) as server:
                progress(name)
                figures = overload.measure(server, self.options.build, self.client_core, self.options.rounds,
                                           self.options.seconds)
                if not arguments:
                    figures["with_critical"] = overload.critical(server, self.options.build, self.client_core,
                                                                 figures["capacity"], self.options.seconds)
                    figures["after"] = overload.recovery(server, self.options.build, self.client_core,
                                                         figures["capacity"], self.options.seconds)
                results[name] = figures
        progress("")
        print(report.overload_table(results))
        return results

    def session(self):
        with state.redis(self.folder, self.client_core) as socket:
            everybody = servers.session_servers(self.options.build, socket)
            return self.rounds(everybody, load.Load(cookies={}, slack=8), SESSION_WARM_UP_SECONDS)

    def session_cluster(self):
        """The session route on one server of Redis and on three primaries of a cluster, both over TCP."""
        plain = ["--save", "", "--appendonly", "no", "--bind", "127.0.0.1", "--dir", self.folder]
        ports = [servers.free_port() for _ in range(4)]
        running = []
        try:
            for number, port in enumerate(ports):
                command = ["redis-server", "--port", port, *plain]
                if number > 0:
                    command += ["--cluster-enabled", "yes", "--cluster-port", servers.free_port(),
                                "--cluster-config-file", f"nodes-{port}.conf"]
                log = os.path.join(self.folder, f"redis-{port}.log")
                running.append(processes.start([str(word) for word in command], log, self.client_core))
            def cli(port, *words):
                done = subprocess.run(["redis-cli", "-p", str(port), *words], capture_output=True, text=True)
                return done.stdout
            for port in ports:
                processes.wait_until(lambda port=port: "PONG" in cli(port, "ping"), "redis-server")
            nodes = [f"127.0.0.1:{port}" for port in ports[1:]]
            cli(ports[1], "--cluster", "create", "--cluster-yes", *nodes)
            for port in ports[1:]:
                processes.wait_until(lambda port=port: "cluster_state:ok" in cli(port, "cluster", "info"), "the cluster")
            everybody = servers.cluster_servers(self.options.build, f"redis://127.0.0.1:{ports[0]}",
                                                "redis+cluster://" + ",".join(nodes))
            return self.rounds(everybody, load.Load(cookies={}, slack=8))
        finally:
            for redis in running:
                processes.stop(redis)

    def local_copy(self):
        """A value that the worker has a copy of, against the hello route: CPU and instructions."""
        with state.redis(self.folder, self.client_core) as socket:
            return self.rounds_and_instructions(servers.local_copies(self.options.build, socket))

    def jobs(self):
        """{name: rounds}; Pronghorn and BullMQ take turns on the same Redis."""
        results = {"pronghorn": [], "bullmq": []}
        with state.redis(self.folder, self.client_core) as socket:
            for number in range(self.options.rounds):
                progress(f"round {number + 1} of {self.options.rounds}")
                results["pronghorn"].append(state.pronghorn_jobs(self.options.build, self.folder, self.server_core, socket))
                results["bullmq"].append(state.bull_jobs(self.options.build, self.server_core, socket))
        progress("")
        print(report.jobs_table(results))
        return results

    def events(self):
        results = []
        with state.redis(self.folder, self.client_core) as socket:
            for number in range(self.options.rounds):
                progress(f"round {number + 1} of {self.options.rounds}")
                results.append(state.events(self.options.build, self.folder, self.server_core, self.client_core, socket,
                                            self.options.seconds))
        progress("")
        print(report.events_table(results))
        return results

    def sockets(self):
        """{"echo" and "topic": {server: rounds}, "idle": KiB by server, "held": figures}"""
        results = {"echo": {}, "topic": {}, "idle": {}}
        build, how = self.options.build, {"echo": (sockets.SOCKETS, 64), "topic": (sockets.MEMBERS, sockets.PAUSE_US)}
        with state.redis(self.folder, self.client_core) as socket, contextlib.ExitStack() as running:
            started = [running.enter_context(server.start(self.folder, self.server_core))
                       for server in self.chosen(sockets.candidates(build, self.options.uwebsockets, socket))]
            for number in range(self.options.rounds):
                progress(f"round {number + 1} of {self.options.rounds}")
                for mode, (count, argument) in how.items():
                    for server in started:
                        one = sockets.measure(server, build, self.client_core, mode, count, self.options.seconds, argument)
                        results[mode].setdefault(server.name, []).append(one)
            for server in started:
                results["idle"][server.name] = sockets.idle_memory(server, build, self.client_core)
        progress("many idle sockets")
        results["held"] = sockets.held(build, self.folder, None)
        progress("")
        print(report.sockets_table(results))
        return results

    def tls(self):
        """{"full" and "resumed": {server: rounds of handshakes}, "keepalive": as of rounds()}; nginx beside it."""
        results = {"full": {}, "resumed": {}}
        candidates = servers.tls_servers(self.options.build, self.folder)
        with contextlib.ExitStack() as running:
            started = [running.enter_context(server.start(self.folder, self.server_core))
                       for server in self.chosen(candidates)]
            for number in range(self.options.rounds):
                progress(f"round {number + 1} of {self.options.rounds}")
                for kind in ("full", "resumed"):
                    for server in started:
                        one = load.handshakes(server, self.options.build, kind, self.options.seconds, self.client_core)
                        results[kind].setdefault(server.name, []).append(one)
        progress("")
        print(report.handshakes_table(results) + "\n\nkeep-alive over TLS")
        results["keepalive"] = self.rounds(servers.tls_servers(self.options.build, self.folder), load.Load())
        return results

    def tls_file_1m(self):
        plain = servers.file_servers(self.options.build, self.folder, "1MiB.txt", 1024**2)[0]  # creates the file
        # 64 clients that take 1 MiB at once make the worker encrypt for longer than overload control lets requests wait.
        settings = {"BENCH_FILES": str(pathlib.Path(self.folder) / "files"), "PRONGHORN_OVERLOAD": "off"}
        return self.rounds(servers.tls_servers(self.options.build, self.folder, plain.target, plain.expected, settings),
                           load.Load())

    def tokens(self):
        results = {"pronghorn": []}
        with servers.pronghorn(self.options.build).start(self.folder, self.server_core) as server:
            for _ in range(self.options.rounds):
                results["pronghorn"].append(state.tokens(server, self.server_core))
        fields = ("first_us", "remembered_us", "openssl_us")
        medians = [f"{report.median(results['pronghorn'], field):.2f}" for field in fields]
        print(report.table(["ES256: first time us", "remembered us", "openssl speed, verify us"], [medians]))
        return results

    def rounds(self, candidates, how, warm_up=WARM_UP_SECONDS):
        """All servers are started together and take turns, A B C A B C; the others are idle meanwhile."""
        results = {}
        with contextlib.ExitStack() as running:
            started = []
            for server in self.chosen(candidates):
                started.append(running.enter_context(server.start(self.folder, self.server_core)))
                if how.cookies is not None:
                    how.cookies[server.name] = load.make_sessions(server, SESSIONS, self.folder)
                load.run_wrk(server, how, warm_up, self.client_core)
            for number in range(self.options.rounds):
                progress(f"round {number + 1} of {self.options.rounds}")
                for server in started:
                    one = load.measure(server, how, self.options.seconds, self.client_core)
                    results.setdefault(server.name, []).append(one)
        progress("")
        print(report.load_table(results))
        return results

    def each(self, figure, candidates=None):
        """figure(server) of each server, each started alone."""
        results = {}
        for server in self.chosen(candidates or servers.hello_servers(self.options.build)):
            progress(server.name)
            with server.start(self.folder, self.server_core):
                results[server.name] = figure(server)
        progress("")
        return results

    def syscalls(self):
        build = self.options.build
        cases = {"small": (servers.hello_servers(build), load.Load()),
                 "close": (servers.hello_servers(build, close=True), load.CLOSE),
                 "file_1m": (servers.file_servers(build, self.folder, "1MiB.txt", 1024**2), load.Load())}
        results, rows = {}, []
        for case, (candidates, how) in cases.items():
            def figure(server):
                under_load = lambda: load.run_wrk(server, how, 2, self.client_core)["requests"]
                calls = counts.system_calls(server, self.folder, under_load)
                return {"all": sum(calls.values()), "by_name": {name: n for name, n in calls.items() if n >= 0.02}}
            results[case] = self.each(figure, candidates)
            rows += [[case, name, f"{calls['all']:.2f}", ", ".join(f"{n} {c:.2f}" for n, c in calls["by_name"].items())]
                     for name, calls in results[case].items()]
        print(report.table(["", "server", "system calls per request", "which"], rows))
        return results

    def instructions(self):
        loads = {**SMALL, "browser": load.Load(headers=load.BROWSER_HEADERS), "pipelined": load.Load(pipeline=16)}
        results = {}
        for server in self.chosen(servers.hello_servers(self.options.build)):
            if server.name == "node":  # compiles code at run time, which callgrind does not count well
                continue
            progress(server.name)
            results[server.name] = counts.instructions(server, self.options.build, self.server_core, self.folder, loads)
        progress("")
        rows = [[name, *(f"{value:,.0f}" for value in kinds.values())] for name, kinds in results.items()]
        print(report.table(["server", "instructions: small request", "browser's request", "one of 16 pipelined"], rows))
        return results

    def idle(self):
        results = self.each(counts.idle_memory)
        print(report.table(["server", "KiB per idle connection"], [[n, f"{v:.2f}"] for n, v in results.items()]))
        return results

    def upload(self):
        results = self.each(counts.upload, [servers.pronghorn(self.options.build)])
        for one in results.values():
            print(f"1 GiB in {one['seconds']:.1f} s, {one['cpu_ms']:.0f} ms of CPU; resident memory {one['before_kib']:,} KiB "
                  f"before, {one['peak_kib']:,} KiB at its peak")
        return results

    def restart(self):
        result = restart.kill_to_ready(self.options.build, self.folder)
        print(f"kill -9 to ready: median {result['median_ms']:.1f} ms, longest {result['max_ms']:.1f} ms, "
              f"{len(result['times_ms'])} kills")
        kept = result["kept"] = restart.kept_over_kill(self.options.build, self.folder)
        print(f"{kept['connections']} kept connections over a kill: all served {kept['seconds']:.2f} s later; own memory of "
              f"the guardian: {kept['guardian_kib']} KiB")
        return result


def progress(text):
    """One line that replaces itself on a terminal."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def machine():
    with open("/proc/cpuinfo") as cpus:
        models = [line.split(":", 1)[1].strip() for line in cpus if line.startswith("model name")]
    with open("/proc/sys/net/ipv4/tcp_congestion_control") as setting:
        congestion_control = setting.read().strip()
    return {"cpu": models[0] if models else platform.machine(), "cores": len(os.sched_getaffinity(0)),
            "kernel": platform.release(), "congestion_control": congestion_control,
            "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}


def main():
    options = arguments()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    facts = machine()
    print(f"{facts['cpu']}, {facts['cores']} cores, Linux {facts['kernel']}, "
          f"{facts['congestion_control']} for every server; {options.rounds} rounds of {options.seconds} s")
    if facts["cores"] < 2:
        print("warning: one core only: server and client share it, latencies and requests/s mean little",
              file=sys.stderr)
    folder = tempfile.mkdtemp(prefix="pronghorn-bench-")
    os.chmod(folder, 0o755)
    bench = Bench(options, folder)
    try:
        for scenario in options.only:
            bench.run(scenario)
    except KeyboardInterrupt:
        sys.exit(130)
    except (RuntimeError, TimeoutError, OSError) as error:
        sys.exit(f"bench: {error}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if not options.servers:
        print("\ntargets\n" + report.table(["target", "measured", "wanted", ""], report.targets(bench.results)))
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps({"machine": facts, "rounds": options.rounds, "seconds": options.seconds,
                                        "results": bench.results}, indent=1) + "\n")
    print(f"\nfigures: {options.json}")


if __name__ == "__main__":
    main()
