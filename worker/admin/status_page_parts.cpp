#include "worker/admin/status_page_parts.h"

namespace pronghorn::worker {

const std::string_view kPageStyle = R"css(
:root {
  --ground: #f6f5f2; --card: #fff; --ink: #1d1c1a; --soft: #66625b; --line: #dfdcd5; --accent: #a8560f;
  --good: #22702f; --wait: #8a5a00; --bad: #b3261e;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #171614; --card: #21201d; --ink: #edeae4; --soft: #a5a096; --line: #38352f; --accent: #e89a4f;
    --good: #78cf86; --wait: #e8b54a; --bad: #ff8d83;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 15px/1.45 system-ui, sans-serif; }
main { max-width: 90rem; margin: 0 auto; padding: 1.25rem; }
header { display: flex; flex-wrap: wrap; gap: .4rem 1rem; align-items: baseline; }
h1 { font-size: 1.4rem; margin: 0; }
h2 { font-size: 1.05rem; margin: 1.6rem 0 .5rem; }
.facts { margin: .3rem 0 0; color: var(--soft); }
.facts span + span::before { content: " · "; }
.note { margin-left: auto; color: var(--soft); }
.note.lost { color: var(--bad); font-weight: 600; }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(9.5rem, 1fr)); gap: .6rem; margin: 1rem 0 0; padding: 0; }
.cards > div { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: .55rem .75rem; }
dt { color: var(--soft); font-size: .85rem; }
dd { margin: 0; font-size: 1.3rem; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.chart { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; margin: .6rem 0 0; padding: .55rem .75rem; }
.chart figcaption { color: var(--soft); font-size: .85rem; }
.chart svg { display: block; width: 100%; height: 4.5rem; }
.chart polyline { fill: none; stroke: var(--accent); stroke-width: 1.5; vector-effect: non-scaling-stroke; }
table { width: 100%; border-collapse: collapse; background: var(--card); border: 1px solid var(--line); }
caption { text-align: left; color: var(--soft); font-size: .85rem; padding-bottom: .3rem; }
th, td { padding: .35rem .5rem; font-size: .9rem; white-space: nowrap; text-align: right; border-bottom: 1px solid var(--line); vertical-align: top; }
thead th { color: var(--soft); font-weight: 500; font-size: .85rem; }
th.text, td.text, th.long, td.long { text-align: left; }
th.long, td.long { min-width: 11rem; white-space: normal; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; }
td { font-variant-numeric: tabular-nums; }
tbody th { font-weight: 600; }
.good { color: var(--good); }
.wait { color: var(--wait); }
.bad { color: var(--bad); }
.good, .wait, .bad { font-weight: 600; }
@media (max-width: 52rem) {
  main { padding: .8rem; }
  thead { position: absolute; clip-path: inset(50%); width: 1px; height: 1px; overflow: hidden; }
  table, caption, tbody, tr, tbody th, td { display: block; }
  table { background: none; border: 0; }
  tr { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; margin-bottom: .6rem; padding: .35rem 0; }
  tbody th, td, td.text, td.long, th.long { display: flex; min-width: 0; white-space: normal; justify-content: space-between; gap: 1rem; border: 0; padding: .15rem .75rem; text-align: right; }
  td::before, tbody th::before { content: attr(data-label); color: var(--soft); font-weight: 400; text-align: left; flex: none; }
}
)css";

const std::string_view kPageBody = R"html(<body>
<main>
<header>
  <h1>Pronghorn</h1>
  <span id="state" class="wait">loading</span>
  <span id="note" class="note" role="status"></span>
</header>
<p id="facts" class="facts"></p>
<dl id="totals" class="cards"></dl>
<figure class="chart">
  <figcaption id="chart-caption">Requests per second</figcaption>
  <svg viewBox="0 0 119 40" preserveAspectRatio="none" role="img" aria-labelledby="chart-caption"><polyline id="chart" points=""></polyline></svg>
</figure>
<h2>Workers</h2>
<div class="scroll" role="region" aria-label="Workers" tabindex="0"><table id="workers"><caption>One line a slot. Counters include the slot's earlier workers.</caption><thead></thead><tbody></tbody></table></div>
<h2>Routes</h2>
<div class="scroll" role="region" aria-label="Routes" tabindex="0"><table id="routes"><caption>Of all workers, since the server started.</caption><thead></thead><tbody></tbody></table></div>
<noscript><p>This page needs JavaScript. The same figures are JSON for a client that does not ask for HTML.</p></noscript>
</main>
)html";

const std::string_view kPageScript = R"js(
"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const setText = (element, text) => { if (element.textContent !== text) element.textContent = text; };

  const count = (n) => Number(n).toLocaleString("en");
  const rate = (n) => n >= 100 ? count(Math.round(n)) : Number(n).toFixed(1);
  const percent = (n) => Number(n).toFixed(1) + " %";
  const ms = (n) => n >= 100 ? count(Math.round(n)) + " ms" : String(Number(Number(n).toPrecision(3))) + " ms";
  const bytes = (n) => {
    const units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let unit = 0;
    while (n >= 1024 && unit < units.length - 1) { n /= 1024; unit += 1; }
    return (unit === 0 || n >= 100 ? Math.round(n) : n.toFixed(1)) + " " + units[unit];
  };
  const time = (s) => {
    const total = Math.floor(s);
    const parts = [[Math.floor(total / 86400), "d"], [Math.floor(total / 3600) % 24, "h"], [Math.floor(total / 60) % 60, "min"], [total % 60, "s"]];
    const first = parts.findIndex(([n]) => n > 0);
    return first < 0 ? "0 s" : parts.slice(first, first + 2).map(([n, unit]) => n + " " + unit).join(" ");
  };
  const tone = (word) =>
    ["ready", "up"].includes(word) ? "good" : ["backoff", "stopped", "down"].includes(word) ? "bad"
      : ["starting", "draining", "connecting"].includes(word) ? "wait" : "";

  // [heading, value of a row as text, class of its cells or a function that gives it]
  const workerColumns = [
    ["Slot", (w) => String(w.slot), ""],
    ["State", (w) => w.state, (w) => "text " + tone(w.state)],
    ["Pid", (w) => w.pid ? String(w.pid) + (w.old_pid ? " ← " + w.old_pid : "") : "–", ""],
    ["Up", (w) => w.pid ? time(w.uptime_s) : "–", ""],
    ["Restarts", (w) => count(w.restarts), (w) => w.restarts ? "wait" : ""],
    ["Requests", (w) => count(w.requests), ""],
    ["per s", (w) => rate(w.requests_per_s), ""],
    ["In flight", (w) => count(w.in_flight), ""],
    ["Conns", (w) => count(w.connections), ""],
    ["p50", (w) => ms(w.latency_ms.p50), ""],
    ["p99", (w) => ms(w.latency_ms.p99), ""],
    ["CPU", (w) => percent(w.cpu_percent), ""],
    ["Loop busy", (w) => percent(w.loop_utilisation * 100), (w) => w.loop_utilisation > 0.9 ? "bad" : ""],
    ["Memory", (w) => bytes(w.rss_bytes), ""],
    ["Redis", (w) => w.redis.state, (w) => "text " + tone(w.redis.state)],
    ["Last exit", (w) => w.last_exit === null ? "–"
      : w.last_exit.reason + (w.last_exit.request ? " in " + w.last_exit.request : "") + " at " + w.last_exit.at, "long"],
  ];
  const routeColumns = [
    ["Route", (r) => r.route, "long"],
    ["Requests", (r) => count(r.requests), ""],
    ["Errors", (r) => count(r.errors), (r) => r.errors ? "bad" : ""],
    ["p50", (r) => ms(r.latency_ms.p50), ""],
    ["p90", (r) => ms(r.latency_ms.p90), ""],
    ["p99", (r) => ms(r.latency_ms.p99), ""],
    ["Max", (r) => ms(r.latency_ms.max), ""],
  ];
  const totalCards = [
    ["Requests per s", (s) => rate(s.totals.requests_per_s)],
    ["Requests", (s) => count(s.totals.requests)],
    ["In flight", (s) => count(s.totals.in_flight)],
    ["Connections", (s) => count(s.totals.connections)],
    ["Latency p50", (s) => ms(s.totals.latency_ms.p50)],
    ["Latency p99", (s) => ms(s.totals.latency_ms.p99)],
    ["4xx", (s) => count(s.totals.responses["4xx"])],
    ["5xx", (s) => count(s.totals.responses["5xx"])],
    ["Restarts", (s) => count(s.totals.restarts)],
    ["Received", (s) => bytes(s.totals.bytes_in)],
    ["Sent", (s) => bytes(s.totals.bytes_out)],
    ["Redis", (s) => s.redis.mode === "none" ? "none" : s.redis.state],
  ];

  const cellClass = (rule, row) => (typeof rule === "function" ? rule(row) : rule).trim();

  function fillTable(table, columns, rows) {
    const head = table.tHead;
    if (head.rows.length === 0) {
      const line = head.insertRow();
      for (const [heading, , rule] of columns) {
        const cell = document.createElement("th");
        cell.scope = "col";
        cell.textContent = heading;
        cell.className = rule === "long" ? "long" : ["State", "Redis"].includes(heading) ? "text" : "";
        line.append(cell);
      }
    }
    const body = table.tBodies[0];
    while (body.rows.length > rows.length) body.deleteRow(-1);
    rows.forEach((row, index) => {
      let line = body.rows[index];
      if (!line) {
        line = body.insertRow();
        columns.forEach(([heading], column) => {
          const cell = document.createElement(column === 0 ? "th" : "td");
          if (column === 0) cell.scope = "row";
          cell.dataset.label = heading;
          line.append(cell);
        });
      }
      columns.forEach(([, value, rule], column) => {
        const cell = line.cells[column];
        setText(cell, value(row));
        const wanted = cellClass(rule, row);
        if (cell.className !== wanted) cell.className = wanted;
      });
    });
  }

  function fillTotals(status) {
    const list = byId("totals");
    if (list.children.length === 0) {
      for (const [heading] of totalCards) {
        const card = document.createElement("div");
        const term = document.createElement("dt");
        term.textContent = heading;
        card.append(term, document.createElement("dd"));
        list.append(card);
      }
    }
    totalCards.forEach(([, value], index) => setText(list.children[index].lastChild, value(status)));
  }

  function fillFacts(status) {
    const server = status.server;
    const ready = status.workers.filter((w) => w.state === "ready").length;
    const state = byId("state");
    setText(state, server.draining ? "draining" : ready + " of " + status.workers.length + " workers ready");
    state.className = server.draining ? "wait" : ready === status.workers.length ? "good" : ready > 0 ? "wait" : "bad";
    const facts = [server.name + " " + server.version, "pid " + server.pid, "up " + time(server.uptime_s), "generation " + server.generation,
      "listening on " + server.listen.join(", "), "Redis " + status.redis.mode + (status.redis.mode === "none" ? "" : ", " + status.redis.state)];
    const line = byId("facts");
    while (line.children.length < facts.length) line.append(document.createElement("span"));
    facts.forEach((fact, index) => setText(line.children[index], fact));
  }

  const history = [];
  function drawChart(requestsPerSecond) {
    history.push(requestsPerSecond);
    if (history.length > 120) history.shift();
    const top = Math.max(1, ...history);
    const offset = 120 - history.length;
    byId("chart").setAttribute("points", history.map((value, i) => (offset + i) + "," + (39 - 38 * value / top).toFixed(2)).join(" "));
    setText(byId("chart-caption"), "Requests per second, last two minutes, at most " + rate(top === 1 ? Math.max(...history) : top));
  }

  async function refresh() {
    const note = byId("note");
    try {
      const answer = await fetch(location.pathname, { headers: { Accept: "application/json" }, cache: "no-store", signal: AbortSignal.timeout(5000) });
      if (!answer.ok) throw new Error("status " + answer.status);
      const status = await answer.json();
      fillFacts(status);
      fillTotals(status);
      drawChart(status.totals.requests_per_s);
      fillTable(byId("workers"), workerColumns, status.workers);
      fillTable(byId("routes"), routeColumns, status.routes);
      note.className = "note";
      setText(note, "live");
    } catch (error) {
      note.className = "note lost";
      setText(note, "no answer, trying again");
    }
  }

  let timer = 0;
  let busy = false;  // a page that is hidden and shown again meanwhile must not refresh twice a second
  async function turn() {
    if (busy) return;
    busy = true;
    await refresh();
    busy = false;
    clearTimeout(timer);
    if (!document.hidden) timer = setTimeout(turn, 1000);
  }
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) turn();
  });
  turn();
})();
)js";

}  // namespace pronghorn::worker
