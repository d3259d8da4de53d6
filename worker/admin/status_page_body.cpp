#include "worker/admin/status_page_parts.h"

namespace pronghorn::worker {

const std::string_view kPageBody = R"html(</h1>
  <span id="state" class="wait">loading</span>
  <span id="note" class="note" role="status"></span>
</header>
<p id="facts" class="facts"></p>
<ul id="alerts" class="alerts" aria-label="What is wrong" hidden></ul>
<dl id="totals" class="cards"></dl>
<div class="charts">
<figure class="chart"><figcaption id="rate-caption">Requests per second, last hour</figcaption>
  <svg viewBox="0 0 360 40" preserveAspectRatio="none" role="img" aria-labelledby="rate-caption"><path class="marks" id="restarts" d=""></path><path id="rate" d=""></path></svg></figure>
<figure class="chart"><figcaption id="errors-caption">Errors (5xx) per second, last hour</figcaption>
  <svg viewBox="0 0 360 40" preserveAspectRatio="none" role="img" aria-labelledby="errors-caption"><path id="errors" d=""></path></svg></figure>
<figure class="chart"><figcaption id="latency-caption">Latency, last hour</figcaption>
  <svg viewBox="0 0 360 40" preserveAspectRatio="none" role="img" aria-labelledby="latency-caption"><path id="p50" class="second" d=""></path><path id="p99" d=""></path></svg></figure>
</div>
<section id="workers-part"><h2>Workers</h2>
<div class="scroll" role="region" aria-label="Workers" tabindex="0"><table id="workers"><caption>One line per slot. Counters include the slot's earlier workers.</caption><thead></thead><tbody></tbody></table></div></section>
<section id="running-part" hidden><h2>Running now</h2>
<div class="scroll" role="region" aria-label="Running now" tabindex="0"><table id="running"><caption>What has an event loop for more than a moment.</caption><thead></thead><tbody></tbody></table></div></section>
<section id="exits-part" hidden><h2>Last exits</h2>
<div class="scroll" role="region" aria-label="Last exits" tabindex="0"><table id="exits"><caption>"pronghorn crashes" shows the reports.</caption><thead></thead><tbody></tbody></table></div></section>
<section id="quarantine-part" hidden><h2>Quarantine</h2>
<div class="scroll" role="region" aria-label="Quarantine" tabindex="0"><table id="quarantine"><caption>Requests that are refused because they killed workers.</caption><thead></thead><tbody></tbody></table></div></section>
<section id="routes-part" hidden><h2>Routes</h2>
<div class="scroll" role="region" aria-label="Routes" tabindex="0"><table id="routes"><caption>Of all workers, since the server started.</caption><thead></thead><tbody></tbody></table></div></section>
<section id="sockets-part" hidden><h2>Sockets</h2>
<div class="scroll" role="region" aria-label="Sockets" tabindex="0"><table id="sockets"><caption>WebSockets by route. Messages and bytes since the server started.</caption><thead></thead><tbody></tbody></table></div></section>
<noscript><p>This page needs JavaScript. Clients that do not ask for HTML get the same figures as JSON.</p></noscript>
</main>
)html";

}  // namespace pronghorn::worker
