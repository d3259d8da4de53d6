#include "worker/admin/status_page_parts.h"

namespace pronghorn::worker {

// Formatting of figures, and what each table and card shows.
const std::string_view kPageColumns = R"js(
"use strict";
const byId = (id) => document.getElementById(id);
const setText = (element, text) => { if (element.textContent !== text) element.textContent = text; };

const count = (n) => Number(n).toLocaleString("en");
const rate = (n) => n >= 100 ? count(Math.round(n)) : Number(n).toFixed(1);
const percent = (n) => Number(n).toFixed(0) + " %";
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
const sum = (counts) => Object.values(counts || {}).reduce((all, n) => all + n, 0);
const stateOf = (w) => w.stuck_s > 0 ? "stuck " + time(w.stuck_s) : w.state;
const tone = (word) =>
  ["ready", "up"].includes(word) ? "good" : word.startsWith("stuck") || ["backoff", "stopped", "down"].includes(word) ? "bad"
    : ["starting", "draining", "connecting"].includes(word) ? "wait" : "";

// [heading, text of a row's cell, class of the cell or a function that gives it]. A column whose heading ends in "?" is
// hidden while it shows nothing but zeros.
const tables = {
  workers: { rows: (s) => [...s.workers, ...s.job_workers.map((w) => ({ ...w, slot: "jobs " + w.slot }))], columns: [
    ["Slot", (w) => String(w.slot), ""],
    ["State", stateOf, (w) => "text " + tone(stateOf(w))],
    ["Pid", (w) => w.pid ? String(w.pid) + (w.old_pid ? " ← " + w.old_pid : "") : "–", "minor"],
    ["Up", (w) => w.pid ? time(w.uptime_s) : "–", "minor"],
    ["Restarts?", (w) => count(w.restarts), (w) => w.restarts ? "wait" : ""],
    ["Requests", (w) => count(w.requests), "minor"],
    ["per s", (w) => rate(w.requests_per_s), ""],
    ["In flight?", (w) => count(w.in_flight), "minor"],
    ["Conns", (w) => count(w.connections), "minor"],
    ["Sockets?", (w) => count(w.websockets.open), "minor"],
    ["p50", (w) => ms(w.latency_ms.p50), "minor"],
    ["p99", (w) => ms(w.latency_ms.p99), ""],
    ["CPU", (w) => percent(w.cpu_percent), "minor"],
    ["Loop busy", (w) => percent(w.loop_utilisation * 100), (w) => "minor" + (w.loop_utilisation > 0.9 ? " bad" : "")],
    ["Stalls?", (w) => count(w.stalls), "minor"],
    ["Memory", (w) => bytes(w.rss_bytes), ""],
    ["Files", (w) => count(w.open_descriptors) + " of " + count(w.descriptor_limit), "minor"],
    ["Redis", (w) => w.redis.state, (w) => "minor text " + tone(w.redis.state)],
  ] },
  running: { rows: (s) => s.workers.flatMap((w) => [{ slot: w.slot, running: w.running }, ...w.rows
    .filter((r) => r.pid !== w.pid && r.running)  // it drains
    .map((r) => ({ slot: w.slot, running: { what: r.running.method + " " + r.running.path, ...r.running } }))])
    .filter((w) => w.running && w.running.for_ms >= 100), columns: [
    ["Slot", (w) => String(w.slot), ""],
    ["What", (w) => w.running.what, "long"],
    ["For", (w) => time(w.running.for_ms / 1000), ""],
    ["Id", (w) => w.running.id || "–", "minor text"],
  ] },
  exits: { rows: (s) => [...s.workers, ...s.job_workers.map((w) => ({ ...w, slot: "jobs " + w.slot })), ...(s.distributor ? [{ slot: "distributor", ...s.distributor }] : [])]
    .filter((w) => w.last_exit), columns: [
    ["Slot", (w) => String(w.slot), ""],
    ["Reason", (w) => w.last_exit.reason, "long"],
    ["Request", (w) => w.last_exit.request || "–", "long"],
    ["Connections", (w) => w.last_exit.connections || "–", "long"],
    ["At", (w) => w.last_exit.at, "text minor"],
  ] },
  quarantine: { rows: (s) => s.quarantine, columns: [
    ["Request", (q) => q.method + " " + q.shape, "long"],
    ["Kills", (q) => count(q.kills), ""],
    ["Refused", (q) => count(q.refused), ""],
    ["Until", (q) => q.until, "text minor"],
  ] },
  routes: { rows: (s) => s.routes.filter((r) => r.requests > 0), columns: [
    ["Route", (r) => r.route, "long"],
    ["Requests", (r) => count(r.requests), ""],
    ["Errors?", (r) => count(r.errors), (r) => r.errors ? "bad" : ""],
    ["p50", (r) => ms(r.latency_ms.p50), "minor"],
    ["p90", (r) => ms(r.latency_ms.p90), "minor"],
    ["p99", (r) => ms(r.latency_ms.p99), ""],
    ["Max", (r) => ms(r.latency_ms.max), "minor"],
  ] },
  sockets: { rows: (s) => s.routes.filter((r) => r.websockets && (r.websockets.open > 0 || r.websockets.bytes_received > 0))
    .map((r) => ({ route: r.route, ...r.websockets })), columns: [
    ["Route", (r) => r.route, "long"],
    ["Open", (r) => count(r.open), ""],
    ["Messages in", (r) => count(r.messages_received), ""],
    ["Messages out", (r) => count(r.messages_sent), ""],
    ["Received", (r) => bytes(r.bytes_received), "minor"],
    ["Sent", (r) => bytes(r.bytes_sent), "minor"],
    ["Waiting", (r) => bytes(r.queued_bytes), ""],
    ["Skipped?", (r) => count(r.skipped), (r) => r.skipped ? "wait" : ""],
  ] },
};
// [heading, text, whether the card is worth showing]
const cards = [
  ["Requests/s", (s) => rate(s.totals.requests_per_s), () => true],
  ["Requests", (s) => count(s.totals.requests), () => true],
  ["In flight", (s) => count(s.totals.in_flight), (s) => s.totals.in_flight > 0],
  ["Connections", (s) => count(s.totals.connections), () => true],
  ["HTTP/2 requests", (s) => count(s.totals.http2.requests), (s) => s.totals.http2.requests > 0],
  ["Sockets", (s) => count(s.totals.websockets.open), (s) => s.totals.websockets.open > 0],
  ["Sockets too slow", (s) => count(s.totals.websockets.too_slow), (s) => s.totals.websockets.too_slow > 0],
  ["Latency p50", (s) => ms(s.totals.latency_ms.p50), (s) => s.totals.requests > 0],
  ["Latency p99", (s) => ms(s.totals.latency_ms.p99), (s) => s.totals.requests > 0],
  ["4xx", (s) => count(s.totals.responses["4xx"]), (s) => s.totals.responses["4xx"] > 0],
  ["5xx", (s) => count(s.totals.responses["5xx"]), (s) => s.totals.responses["5xx"] > 0],
  ["Lost requests", (s) => count(sum(s.lost_requests)), (s) => sum(s.lost_requests) > 0],
  ["Restarts", (s) => count(s.totals.restarts), (s) => s.totals.restarts > 0],
  ["Jobs waiting", (s) => count(s.totals.jobs.waiting), (s) => s.totals.jobs.waiting > 0],
  ["Jobs running", (s) => count(s.totals.jobs.running), (s) => s.totals.jobs.running > 0],
  ["Jobs done", (s) => count(s.totals.jobs.done), (s) => s.totals.jobs.done > 0],
  ["Jobs failed or dead", (s) => count(s.totals.jobs.dead_letters), (s) => s.totals.jobs.dead_letters > 0],
  ["Log lines dropped", (s) => count(s.totals.log_lines_dropped), (s) => s.totals.log_lines_dropped > 0],
  ["Received", (s) => bytes(s.totals.bytes_in), () => true],
  ["Sent", (s) => bytes(s.totals.bytes_out), () => true],
  ["Redis", (s) => s.redis.state, (s) => s.redis.mode !== "none"],
];
)js";

// Draws them, and asks again every second.
const std::string_view kPageScript = R"js(
(() => {
  const classOf = (rule, row) => (typeof rule === "function" ? rule(row) : rule).trim();
  const fixedClass = (rule) => typeof rule === "function" ? (rule.toString().includes("minor") ? "minor" : "") : rule;

  function fillTable(id, status) {
    const { rows: rowsOf, columns } = tables[id];
    const rows = rowsOf(status);
    byId(id + "-part").hidden = rows.length === 0;
    const table = byId(id);
    if (table.tHead.rows.length === 0) {
      const line = table.tHead.insertRow();
      for (const [heading, , rule] of columns) {
        const cell = document.createElement("th");
        cell.scope = "col";
        cell.textContent = heading.replace("?", "");
        cell.className = fixedClass(rule) || (["State", "Redis"].includes(heading) ? "text" : "");
        line.append(cell);
      }
    }
    const body = table.tBodies[0];
    while (body.rows.length > rows.length) body.deleteRow(-1);
    rows.forEach((row, index) => {
      let line = body.rows[index];
      if (!line) {
        line = body.insertRow();
        columns.forEach((_, column) => {
          const cell = document.createElement(column === 0 ? "th" : "td");
          if (column === 0) cell.scope = "row";
          line.append(cell);
        });
      }
      columns.forEach(([, value, rule], column) => {
        const cell = line.cells[column];
        setText(cell, value(row));
        const wanted = classOf(rule, row);
        if (cell.className !== wanted) cell.className = wanted;
      });
    });
    columns.forEach(([heading, value], column) => {
      const empty = heading.endsWith("?") && rows.every((row) => value(row) === "0");
      for (const line of [...table.tHead.rows, ...body.rows]) line.cells[column].hidden = empty;
    });
  }

  function fillCards(status) {
    const list = byId("totals");
    if (list.children.length === 0) {
      for (const [heading] of cards) {
        const card = document.createElement("div");
        const term = document.createElement("dt");
        term.textContent = heading;
        card.append(term, document.createElement("dd"));
        list.append(card);
      }
    }
    cards.forEach(([, value, shown], index) => {
      list.children[index].hidden = !shown(status);
      setText(list.children[index].lastChild, value(status));
    });
  }

  function fillList(list, tag, texts) {
    while (list.children.length > texts.length) list.lastChild.remove();
    while (list.children.length < texts.length) list.append(document.createElement(tag));
    texts.forEach((text, index) => setText(list.children[index], text));
  }

  function fillHead(status) {
    const server = status.server;
    const ready = status.workers.filter((w) => w.state === "ready" && !(w.stuck_s > 0)).length;
    const state = byId("state");
    setText(state, server.draining ? "draining" : ready + " of " + status.workers.length + " workers ready");
    state.className = server.draining ? "wait" : ready === status.workers.length ? "good" : ready > 0 ? "wait" : "bad";
    const redis = status.redis;
    const facts = [server.name + " " + server.version, "pid " + server.pid, "up " + time(server.uptime_s), "generation " + server.generation,
      "listening on " + server.listen.join(", "),
      redis.mode === "none" ? "no Redis" : "Redis " + redis.mode + ", " + redis.state + (redis.address ? " at " + redis.address : "") + (redis.since ? " since " + redis.since : "")];
    const distributor = status.distributor;
    if (distributor) {
      facts.push("distributor " + distributor.state + (distributor.pid ? ", pid " + distributor.pid : "")
        + (distributor.waiting > 0 ? ", " + count(distributor.waiting) + " connections waiting" : "")
        + (distributor.accept_pauses > 0 ? ", " + count(distributor.accept_pauses) + " pauses" : "")
        + (distributor.restarts > 0 ? ", " + count(distributor.restarts) + " restarts" : ""));
    }
    const rollout = status.rollout;
    if (rollout) facts.push("last rollout " + rollout.result + " at " + rollout.at + ": " + rollout.message);
    fillList(byId("facts"), "span", facts);
    byId("alerts").hidden = server.degraded.length === 0;
    fillList(byId("alerts"), "li", server.degraded);
  }

  // Samples at their place in the last hour: 360 units wide, 40 high.
  function draw(id, samples, newest, value, top) {
    let path = "";
    let last = -9;
    for (const sample of samples) {
      const x = 360 - (newest - sample.at) / 10;
      const isolated = x - last > 1.5;  // a dot, unless a line continues from there
      path += (isolated ? "M" : "L") + x.toFixed(1) + " " + (39 - 38 * value(sample) / top).toFixed(2) + (isolated ? "h0" : "");
      last = x;
    }
    byId(id).setAttribute("d", path);
  }
  function drawHistory(history) {
    const { samples, interval_s: interval } = history;
    if (samples.length === 0) return;
    const newest = samples[samples.length - 1].at;
    const most = (value) => Math.max(...samples.map(value));
    const perSecond = (s) => s.requests / interval;
    const errors = (s) => s.errors / interval;
    draw("rate", samples, newest, perSecond, most(perSecond) || 1);
    draw("errors", samples, newest, errors, most(errors) || 1);
    const slowest = most((s) => s.p99_ms) || 1;
    draw("p50", samples, newest, (s) => s.p50_ms, slowest);
    draw("p99", samples, newest, (s) => s.p99_ms, slowest);
    byId("restarts").setAttribute("d", samples.filter((s) => s.restarts > 0)
      .map((s) => "M" + (360 - (newest - s.at) / 10).toFixed(1) + " 0V40").join(""));
    setText(byId("rate-caption"), "Requests per second, last hour, at most " + rate(most(perSecond)) + (samples.some((s) => s.restarts) ? "; dashed: restarts" : ""));
    setText(byId("errors-caption"), "Errors (5xx) per second, last hour, at most " + rate(most(errors)));
    setText(byId("latency-caption"), "Latency p99 (and p50, grey), last hour, at most " + ms(slowest));
  }

  let turns = 0;
  async function refresh() {
    const note = byId("note");
    try {
      const withHistory = turns % 10 === 0;
      const answer = await fetch(location.pathname + (withHistory ? "?poll&history=1h" : "?poll"),
        { headers: { Accept: "application/json" }, cache: "no-store", signal: AbortSignal.timeout(5000) });
      if (!answer.ok) throw new Error("status " + answer.status);
      const status = await answer.json();
      turns += 1;
      fillHead(status);
      fillCards(status);
      for (const id of Object.keys(tables)) fillTable(id, status);
      if (withHistory) drawHistory(status.history);
      note.className = "note";
      setText(note, "live");
    } catch (error) {
      note.className = "note lost";
      setText(note, "no answer, trying again");
    }
  }

  let timer = 0;
  let busy = false;  // a page that is hidden and shown again meanwhile must not refresh twice per second
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
