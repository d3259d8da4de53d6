// The application that the benchmark runs in Pronghorn.
//
//   BENCH_FILES=DIR    serves that folder at /files
//   BENCH_ROUTES=N     adds N routes, among them GET /api/items57/{id}
//   BENCH_JOBS=run     runs the jobs that POST /jobs/{count} has enqueued
#include <pronghorn/jobs.h>
#include <pronghorn/json.h>
#include <pronghorn/key_set.h>
#include <pronghorn/pronghorn.h>
#include <pronghorn/token.h>
#include <pronghorn/topics.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace pronghorn;
using namespace std::chrono_literals;

namespace {

Response hello(Request&) { return text("Hello, World!"); }

Task<Response> hello_without_waiting(Request&) { co_return text("Hello, World!"); }

Task<Response> session(Request& request) {
  Session session = co_await request.session();
  const auto visits = co_await session.increment("visits");
  co_return json_response({{"visits", visits}});
}

// From the worker's own copy of what the cache has.
Task<Response> local_copy(Request& request) {
  std::string body = co_await request.cache().get_or_fill("hello", {.ttl = 24h, .local = true},
                                                          [] { return std::string("Hello, World!"); });
  co_return text(std::move(body));
}

Task<Response> upload(Request& request) {
  std::uint64_t size = 0;
  while (auto chunk = co_await request.read()) size += chunk->size();
  co_return text(std::to_string(size));
}

// The jobs that this worker has run, and the time and CPU from the first to the last.
struct JobsRun {
  using Clock = std::chrono::steady_clock;
  std::uint64_t done = 0;
  Clock::time_point first, last;
  double first_cpu = 0, last_cpu = 0;

  static double cpu_us() {
    rusage used{};
    ::getrusage(RUSAGE_SELF, &used);
    return 1e6 * static_cast<double>(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
           static_cast<double>(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
  }
  void run_one() {
    if (done++ == 0) {
      first = Clock::now();
      first_cpu = cpu_us();
    }
    if (done % 100 != 0) return;
    last = Clock::now();
    last_cpu = cpu_us();
  }
};
JobsRun jobs_run;  // of this worker: the benchmark runs jobs in one

Task<Response> enqueue_jobs(Request& request) {
  const auto count = request.param<std::uint32_t>("count");
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::string id = co_await request.jobs().enqueue("noop", "payload");
  }
  co_return json_response({{"enqueued", count}});
}

Response show_jobs(Request&) {
  const std::chrono::duration<double> seconds = jobs_run.last - jobs_run.first;
  return json_response(
      {{"done", jobs_run.done}, {"seconds", seconds.count()}, {"cpu_us", jobs_run.last_cpu - jobs_run.first_cpu}});
}

Task<Response> publish(Request& request) {
  std::string body(co_await request.body());
  const Published published = co_await request.events().publish("bench", std::move(body), {.history = 1000});
  co_return no_content();
}

// What a token costs the first time, and when the worker remembers it: the CPU time of the thread, in µs.
Task<Response> time_tokens(Request& request) {
  constexpr int kTokens = 500;
  const Tokens tokens(
      {.keys = key_set_from(new_key(KeyAlgorithm::ES256)), .issuer = "bench", .refresh = 0s, .revocable = false});
  std::vector<std::string> all;
  for (int i = 0; i < kTokens; ++i) {
    const TokenPair pair = co_await tokens.issue(request, "user" + std::to_string(i));
    all.push_back(pair.access);
  }
  std::array<double, 2> us{};
  for (double& round : us) {
    const double begin = JobsRun::cpu_us();
    for (const std::string& text_of_token : all) {
      std::string copy = text_of_token;
      const Token token = co_await tokens.verify(request, std::move(copy));
    }
    round = (JobsRun::cpu_us() - begin) / kTokens;
  }
  co_return json_response({{"first_us", us[0]}, {"remembered_us", us[1]}});
}

// Tells which worker a connection belongs to.
Response which_worker(Request&) { return json_response({{"pid", ::getpid()}}); }

// Five routes per resource; the benchmark requests the first.
void add_routes(App& app, int count) {
  for (int i = 0; i < count / 5; ++i) {
    const std::string all = "/api/items" + std::to_string((57 + i) % 100);
    const std::string one = all + "/{id}";
    app.get(all, hello);
    app.post(all, hello);
    app.get(one, hello);
    app.put(one, hello);
    app.del(one, hello);
  }
}

}  // namespace

PRONGHORN_APP(app) {
  app.websocket("/echo/socket", {.message = [](WebSocket& socket, Message message) { socket.send(message.text()); }});
  app.websocket("/topic", {.open =
                               [](WebSocket& socket, Request& request) {
                                 if (!request.query("mute")) socket.subscribe("topic");
                               },
                           .message = [](WebSocket& socket, Message message) -> Task<void> {
                             co_await socket.publish("topic", message.text());
                           }});
  app.get("/", hello);
  app.get("/plain", hello);
  app.get("/async", hello_without_waiting);
  app.get("/worker", which_worker);
  app.get("/session", session).limit(per_client(10'000'000, 1min));
  app.get("/limit", hello).limit(per_client(10'000'000, 1h));
  app.get("/limit/leased", hello).limit(per_client(10'000'000, 1h).leased(10'000));
  app.get("/local", local_copy);  // as long as /plain, with which it is compared
  app.post("/upload", upload).max_body(0);
  app.post("/jobs/{count}", enqueue_jobs).deadline(5min);
  app.get("/jobs", show_jobs);
  app.get("/tokens", time_tokens);
  app.post("/events", publish);
  app.get("/events", [](Request& request) { return topic_stream(request, "bench"); });
  if (const char* folder = std::getenv("BENCH_FILES")) app.serve_files("/files", folder);
  if (const char* jobs = std::getenv("BENCH_JOBS"); jobs != nullptr && std::string_view(jobs) == "run") {
    app.job("noop", [](Job&) { jobs_run.run_one(); }, {.concurrency = 100});
  }
  if (const char* routes = std::getenv("BENCH_ROUTES")) add_routes(app, std::atoi(routes));
}
