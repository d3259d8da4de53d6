"""Medians, ratios, tables, and the targets that the project sets itself."""
import statistics


def median(rounds, field):
    return statistics.median(one[field] for one in rounds)


def ratios(results, server, base, field="cpu_us"):
    """server / base for each round: a pair is from adjacent measurements."""
    return [a[field] / b[field] for a, b in zip(results[server], results[base])]


def ratio(results, server, base, field="cpu_us"):
    """Median of the paired ratios: the figure that the machine's noise affects least."""
    return statistics.median(ratios(results, server, base, field))


def table(header, rows):
    """Columns as wide as their widest cell: numbers right-aligned, words left-aligned."""
    cells = [[str(cell) for cell in row] for row in [header, *rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    numbers = [all(row[i][:1].isdigit() or row[i] == "-" for row in cells[1:]) for i in range(len(header))]
    lines = []
    for row in [cells[0], ["-" * width for width in widths], *cells[1:]]:
        parts = [c.rjust(w) if right else c.ljust(w) for c, w, right in zip(row, widths, numbers)]
        lines.append("  ".join(parts).rstrip())
    return "\n".join(lines)


def load_table(results):
    """One scenario: a row for each server."""
    bases = [name for name in ("rawepoll", "h2o", "nginx", "node_session", "one_redis", "routes_5", "plain",
                                 "log_off") if name in results]
    rows = []
    for name, rounds in results.items():
        row = [name, f"{median(rounds, 'requests_per_s'):,.0f}", f"{median(rounds, 'cpu_us'):.2f}"]
        row += [f"{ratio(results, name, base):.2f}" for base in bases]
        row += [_latency(median(rounds, "p50_ms")), _latency(median(rounds, "p99_ms"))]
        rows.append(row)
    return table(["server", "requests/s", "CPU us", *(f"CPU / {base}" for base in bases), "p50 ms", "p99 ms"], rows)


def handshakes_table(results):
    """CPU is that of the server, with a request and its response on each connection."""
    rows = [[kind, name, f"{median(rounds, 'per_cpu_s'):,.0f}", f"{median(rounds, 'cpu_us'):.1f}",
             f"{ratio(results[kind], name, 'nginx', 'per_cpu_s'):.2f}" if "nginx" in results[kind] else "-"]
            for kind in ("full", "resumed") for name, rounds in results[kind].items()]
    return table(["handshake", "server", "per CPU second", "CPU us", "per CPU second / nginx"], rows)


def http2_table(results):
    pairs = {"pronghorn": ["nginx"], "pronghorn_file": ["nginx_file", "h2o_file"], "pronghorn_tls": ["nginx_tls"],
             "pronghorn_tls_file": ["nginx_tls_file", "h2o_tls_file"]}
    rows = []
    for name, rounds in results.items():
        beside = ", ".join(f"{ratio(results, name, base):.2f} x {base}" for base in pairs.get(name, []) if base in results)
        rows.append([name, f"{median(rounds, 'requests_per_s'):,.0f}", f"{median(rounds, 'cpu_us'):.2f}", beside or "-"])
    return table(["server", "requests/s", "CPU us", "CPU beside others"], rows)


def latency_table(results):
    bases = [name for name in ("rawepoll", "uv_llhttp") if name in results]
    rows = []
    for name, rounds in results.items():
        row = [name, _latency(median(rounds, "p50_ms")), _latency(median(rounds, "p99_ms"))]
        rows.append(row + [f"{ratio(results, name, base, 'p99_ms'):.2f}" for base in bases])
    return table(["server", "p50 ms", "p99 ms", *(f"p99 / {base}" for base in bases)], rows)


def jobs_table(results):
    """CPU per job is that of the process that runs them, and of Redis."""
    rows = [[name, f"{median(rounds, 'jobs_per_s'):,.0f}", f"{median(rounds, 'cpu_us'):.1f}",
             f"{median(rounds, 'redis_us'):.1f}", f"{statistics.median(jobs_per_core(rounds)):,.0f}",
             f"{ratio(results, name, 'bullmq', 'jobs_per_s'):.2f}"] for name, rounds in results.items()]
    return table(["", "jobs/s", "CPU us", "Redis us", "jobs/s per core, Redis counted", "jobs/s / bullmq"], rows)


def jobs_per_core(rounds):
    return [1e6 / (one["cpu_us"] + one["redis_us"]) for one in rounds]


def sockets_table(results):
    """CPU is that of the server's processes, without Redis."""
    rows = []
    for mode in ("echo", "topic"):
        for name, rounds in results[mode].items():
            rows.append([mode, name, f"{median(rounds, 'messages_per_s'):,.0f}", f"{median(rounds, 'cpu_us'):.2f}",
                         f"{ratio(results[mode], 'pronghorn', name, 'cpu_us'):.2f}"])
    idle = [["idle", name, "", f"{kib:.2f} KiB each", ""] for name, kib in results["idle"].items()]
    held = results["held"]
    text = table(["", "server", "messages/s", "CPU us each", "pronghorn's / its"], rows + idle)
    return text + (f"\n{held['sockets']:,} idle sockets of {held['workers']} workers: {held['kib']:.2f} KiB each, "
                   f"{held['ping_us']:.1f} us of CPU for a ping and its pong")


def events_table(rounds):
    row = [f"{sum(one['delivered'] for one in rounds):,}", f"{median(rounds, 'bytes'):.0f}",
           f"{median(rounds, 'event_us'):.2f}", f"{median(rounds, 'write_us'):.2f}",
           f"{statistics.median(beyond_write(rounds)):.2f}"]
    return table(["delivered", "bytes", "CPU us per event", "bare write us", "beyond the write us"], [row])


def beyond_write(rounds):
    return [one["event_us"] - one["write_us"] for one in rounds]


def overload_table(results):
    rows = []
    for name, figures in results.items():
        for times, row in figures["times"].items():
            rows.append([name, f"{times} x", f"{row['goodput']:,.0f}", f"{100 * row['share']:.0f} %",
                         f"{row['p50_ms']:.1f}", f"{row['p99_ms']:.1f}", f"{row['refused']:,.0f}",
                         f"{row['gave_up']:,.0f}"])
    text = table(["server", "asked for", "goodput/s", "of capacity", "p50 ms", "p99 ms", "refused", "gave up"], rows)
    for name, figures in results.items():
        text += f"\n{name}: capacity {figures['capacity']:,.0f}/s, unloaded p99 {figures['unloaded_p99_ms']:.1f} ms"
        if "with_critical" in figures:
            both = figures["with_critical"]
            text += (f"\ncritical beside 4 x: {both['critical']['served']} of {both['critical']['sent']} served, p99 "
                     f"{both['critical']['p99_ms']:.1f} ms; normal: {both['normal']['refused']} refused"
                     f"\n0.7 x, one second after 4 x: {figures['after']['refused']} of {figures['after']['sent']} "
                     "refused")
    return text


def _latency(ms):
    return f"{ms:.3f}" if ms > 0 else "-"  # wrk has no figure if too many responses were slower than it records


class Marks:
    """Figures against the limits that the project sets itself: rows (what, measured, wanted, verdict)."""

    def __init__(self):
        self.rows = []

    def add(self, what, value, limit, verdict="", at_most=True, digits=2):
        met = value <= limit if at_most else value >= limit
        wanted = f"{'<=' if at_most else '>='} {limit:,g}"
        self.rows.append((what, f"{value:,.{digits}f}", wanted, verdict or ("met" if met else "MISSED")))

    def add_paired(self, what, values, limit, at_most=True):
        """Judged by the median of the rounds, unless their quartiles lie on both sides of the limit."""
        low, _, high = statistics.quantiles(values, n=4) if len(values) > 1 else (values * 3)
        noise = f"noise: {low:.2f} to {high:.2f}" if low <= limit <= high else ""
        self.add(what, statistics.median(values), limit, noise, at_most)


def targets(results):
    """The rows of every target that this run has figures for."""
    found = Marks()

    def cpu(scenario, what, base, limit):
        if scenario in results:
            found.add_paired(f"{what}: CPU per request / {base}", ratios(results[scenario], "pronghorn", base), limit)

    cpu("keepalive", "keep-alive", "rawepoll", 1.15)
    cpu("keepalive", "keep-alive", "nginx", 1.0)
    if "pipelined" in results:
        inverse = [1 / one for one in ratios(results["pipelined"], "pronghorn", "rawepoll")]
        found.add_paired("pipelined: requests per CPU second / rawepoll", inverse, 0.6, at_most=False)
    cpu("close", "connection per request", "nginx", 1.0)
    cpu("file_1k", "file of 1 KiB", "h2o", 1.0)
    cpu("file_1m", "file of 1 MiB", "nginx", 1.0)
    for scenario, what, costly, base, limit in (("routes", "500 routes / 5", "routes_500", "routes_5", 1.03),
                                                ("coroutine", "coroutine / plain handler", "async", "plain", 1.15)):
        if scenario in results:
            found.add_paired(f"{what}: CPU", ratios(results[scenario]["cpu"], costly, base), limit)
            instructions = results[scenario]["instructions"]
            found.add(f"{what}: instructions", instructions[costly] / instructions[base], limit)
    if "access_log" in results:
        values = ratios(results["access_log"]["cpu"], "log_file", "log_off")
        found.add_paired("access log in a file / none: CPU", values, 1.08)
    if "http2" in results:
        for name, base, limit in (("pronghorn", "nginx", 1.0), ("pronghorn_file", "h2o_file", 1.5),
                                  ("pronghorn_tls", "nginx_tls", 1.0), ("pronghorn_tls_file", "h2o_tls_file", 1.5)):
            if name in results["http2"] and base in results["http2"]:
                found.add_paired(f"HTTP/2: CPU per request / {base}", ratios(results["http2"], name, base), limit)
    if "latency" in results:
        p99 = ratios(results["latency"], "pronghorn", "uv_llhttp", "p99_ms")
        found.add_paired("p99 at a fixed load / uv_llhttp", p99, 1.0)
    if "session" in results:
        if "node_session" in results["session"]:
            inverse = [1 / one for one in ratios(results["session"], "pronghorn", "node_session")]
            found.add_paired("session: requests per CPU second / Node", inverse, 12, at_most=False)
        if "uv_redis" in results["session"]:
            found.add_paired("session: CPU per request / uv_redis", ratios(results["session"], "pronghorn", "uv_redis"), 1.25)
    if "session_cluster" in results:
        values = ratios(results["session_cluster"], "redis_cluster", "one_redis")
        found.add_paired("session on a cluster / one Redis: CPU", values, 1.2)
    if "local_copy" in results:
        values = ratios(results["local_copy"]["cpu"], "local_copy", "plain")
        found.add_paired("local cache hit / hello route: CPU", values, 1.3)
        instructions = results["local_copy"]["instructions"]
        found.add("local cache hit / hello route: instructions", instructions["local_copy"] / instructions["plain"], 1.3)
    if "jobs" in results:
        found.add_paired("no-op jobs/s / BullMQ", ratios(results["jobs"], "pronghorn", "bullmq", "jobs_per_s"), 5,
                         at_most=False)
        found.add_paired("no-op jobs/s per core, Redis counted", jobs_per_core(results["jobs"]["pronghorn"]), 20_000,
                         at_most=False)
    if "events" in results:
        found.add_paired("CPU us per delivered event beyond the write", beyond_write(results["events"]), 2)
    if "tls" in results and "nginx" in results["tls"]["full"]:
        for kind in ("full", "resumed"):
            values = ratios(results["tls"][kind], "pronghorn", "nginx", "per_cpu_s")
            found.add_paired(f"TLS 1.3 handshakes ({kind}) per CPU second / nginx", values, 0.95, at_most=False)
        found.add_paired("keep-alive over TLS: CPU per request / nginx",
                         ratios(results["tls"]["keepalive"], "pronghorn", "nginx"), 1.05)
    cpu("tls_file_1m", "file of 1 MiB over TLS", "nginx", 1.1)
    if "tokens" in results:
        found.add("ES256 token, first time, us", median(results["tokens"]["pronghorn"], "first_us"), 25)
        found.add("ES256 token, remembered, us", median(results["tokens"]["pronghorn"], "remembered_us"), 1)
    if "syscalls" in results:
        found.add("system calls per request", results["syscalls"]["small"]["pronghorn"]["all"], 2.1)
    if "instructions" in results:
        figures = results["instructions"]["pronghorn"]
        found.add("instructions per small request", figures["small"], 2500, digits=0)
        found.add("instructions per browser's request", figures["browser"], 7000, digits=0)
    if "idle" in results:
        found.add("KiB per idle connection", results["idle"]["pronghorn"], 1.0)
    if "upload" in results:
        one = results["upload"]["pronghorn"]
        found.add("upload of 1 GiB: growth of memory, KiB", one["peak_kib"] - one["before_kib"], 1024, digits=0)
    if "restart" in results:
        found.add("kill -9 to ready, ms", results["restart"]["median_ms"], 50)
        found.add("10,000 kept connections over a kill, s", results["restart"]["kept"]["seconds"], 1)
        found.add("own memory of a guardian, KiB", results["restart"]["kept"]["guardian_kib"], 300, digits=0)
    return found.rows
