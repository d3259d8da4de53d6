#include "worker/admin/status_page_parts.h"

namespace pronghorn::worker {

// Below 44rem, columns of class "minor" are hidden, so that a phone shows each worker and route on one line.
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
[hidden] { display: none !important; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 15px/1.45 system-ui, sans-serif; }
main { max-width: 90rem; margin: 0 auto; padding: 1.25rem; }
header { display: flex; flex-wrap: wrap; gap: .4rem 1rem; align-items: baseline; }
h1 { font-size: 1.4rem; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.05rem; margin: 1.6rem 0 .5rem; }
.facts { margin: .3rem 0 0; color: var(--soft); overflow-wrap: anywhere; }
.facts span + span::before { content: " · "; }
.note { margin-left: auto; color: var(--soft); }
.note.lost { color: var(--bad); font-weight: 600; }
.alerts { margin: .8rem 0 0; padding: .5rem .75rem .5rem 1.75rem; border: 1px solid var(--bad); border-radius: .5rem; }
.alerts li { color: var(--bad); overflow-wrap: anywhere; }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(8.5rem, 1fr)); gap: .5rem; margin: 1rem 0 0; padding: 0; }
.cards > div { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: .45rem .7rem; }
dt { color: var(--soft); font-size: .85rem; }
dd { margin: 0; font-size: 1.25rem; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(18rem, 1fr)); gap: .5rem; margin: .6rem 0 0; }
.chart { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; margin: 0; padding: .5rem .7rem; }
.chart figcaption { color: var(--soft); font-size: .85rem; }
.chart svg { display: block; width: 100%; height: 4rem; }
.chart path { fill: none; stroke: var(--accent); stroke-width: 1.5; stroke-linecap: round; vector-effect: non-scaling-stroke; }
.chart path.second { stroke: var(--soft); }
.chart path.marks { stroke: var(--bad); stroke-dasharray: 3 3; }
table { width: 100%; border-collapse: collapse; background: var(--card); border: 1px solid var(--line); }
caption { text-align: left; color: var(--soft); font-size: .85rem; padding-bottom: .3rem; }
th, td { padding: .35rem .5rem; font-size: .9rem; white-space: nowrap; text-align: right; border-bottom: 1px solid var(--line); vertical-align: top; }
thead th { color: var(--soft); font-weight: 500; font-size: .85rem; }
th.text, td.text, th.long, td.long { text-align: left; }
th.long, td.long { min-width: 9rem; white-space: normal; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; }
td { font-variant-numeric: tabular-nums; }
tbody th { font-weight: 600; }
.good, .wait, .bad { font-weight: 600; }
.good { color: var(--good); }
.wait { color: var(--wait); }
.bad { color: var(--bad); }
@media (max-width: 44rem) {
  main { padding: .7rem; }
  th, td { padding: .3rem .25rem; font-size: .82rem; }
  thead th { font-size: .78rem; }
  .minor { display: none; }
  th.long, td.long { min-width: 6rem; }
  .cards { grid-template-columns: repeat(auto-fill, minmax(6.5rem, 1fr)); }
  dd { font-size: 1.05rem; }
}
)css";

}  // namespace pronghorn::worker
