"""Medians, ratios, tables, and the marks that the project sets itself."""
import statistics


def median(rounds, field):
    return statistics.median(one[field] for one in rounds)


def ratio(results, server, base, field="cpu_us"):
    """Median over the rounds of server / base, each pair from one round: what the noise of the machine moves least."""
    return statistics.median(a[field] / b[field] for a, b in zip(results[server], results[base]))


def table(header, rows):
    """Columns as wide as their widest cell: numbers to the right, words to the left."""
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
    bases = [name for name in ("rawepoll", "nginx", "node_session") if name in results]
    rows = []
    for name, rounds in results.items():
        row = [name, f"{median(rounds, 'requests_per_s'):,.0f}", f"{median(rounds, 'cpu_us'):.2f}"]
        row += [f"{ratio(results, name, base):.2f}" for base in bases]
        row += [_latency(median(rounds, "p50_ms")), _latency(median(rounds, "p99_ms"))]
        rows.append(row)
    return table(["server", "requests/s", "CPU us", *(f"CPU / {base}" for base in bases), "p50 ms", "p99 ms"], rows)


def _latency(ms):
    return f"{ms:.3f}" if ms > 0 else "-"  # wrk has no figure when too many answers were slower than it records


def marks(results):
    """(what, measured, wanted, met) for every mark that this run has the figures for."""
    found = []

    def add(what, value, limit, at_most=True):
        met = value <= limit if at_most else value >= limit
        found.append((what, f"{value:.2f}", f"{'<=' if at_most else '>='} {limit:g}", "met" if met else "MISSED"))

    if "keepalive" in results:
        add("keep-alive: CPU per request / rawepoll", ratio(results["keepalive"], "pronghorn", "rawepoll"), 1.25)
        add("keep-alive: CPU per request / nginx", ratio(results["keepalive"], "pronghorn", "nginx"), 1.0)
    if "pipelined" in results:
        add("pipelined: requests per CPU second / nginx", 1 / ratio(results["pipelined"], "pronghorn", "nginx"), 5,
            False)
    if "session" in results:
        add("session: requests per CPU second / Node", 1 / ratio(results["session"], "pronghorn", "node_session"), 10,
            False)
    if "syscalls" in results:
        add("system calls per request", results["syscalls"]["pronghorn"]["all"], 2.1)
    if "instructions" in results:
        add("instructions per small request", results["instructions"]["pronghorn"]["small"], 2500)
        add("instructions per browser's request", results["instructions"]["pronghorn"]["browser"], 7000)
    if "idle" in results:
        add("KiB per idle connection", results["idle"]["pronghorn"], 1.0)
    if "restart" in results:
        add("kill -9 to ready, ms", results["restart"]["median_ms"], 50)
    return found
