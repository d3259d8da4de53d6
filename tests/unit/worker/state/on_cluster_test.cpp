// Every feature that keeps something in Redis, on a real cluster of three primaries with a replica each. A script whose
// keys were in different slots, or that used a key which it was not given, would fail here: each feature is used under
// several names, so that its keys are on several nodes.
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "pronghorn/json.h"
#include "pronghorn/key_set.h"
#include "pronghorn/pronghorn.h"
#include "pronghorn/testing.h"
#include "pronghorn/token.h"
#include "pronghorn/topics.h"
#include "support/processes/redis_cluster.h"
#include "unit/worker/state/cache/cache_worker.h"
#include "unit/worker/state/jobs/job_worker.h"
#include "unit/worker/state/limits/checks.h"
#include "unit/worker/state/sessions/stored_session.h"
#include "worker/state/quarantine/quarantine_store.h"

using namespace pronghorn;
using namespace pronghorn::test;
using namespace std::chrono_literals;

namespace {

const std::vector<std::string> kNames{"ann", "bob", "cid", "dee", "eve", "flo", "gus", "hal", "ida", "joe"};

// Whether several primaries hold keys of this pattern.
bool are_spread(const std::string& pattern) {
  int nodes = 0;
  for (std::size_t i = 0; i < 3; ++i) nodes += shared_cluster().node(i).command({"KEYS", pattern}).empty() ? 0 : 1;
  return nodes > 1;
}

bool is_alive(StateWorker& worker, const std::string& id) {
  Visit visit(worker, id);
  return !visit.session().is_new();
}

std::string login(StateWorker& worker, const std::string& user, const std::string& cookie) {
  Visit visit(worker, cookie);
  visit.session().login(user);
  return visit.commit_id();
}

}  // namespace

TEST_CASE("sessions live on a cluster: fields, counters, rotation, login and logging out everywhere",
          "[cluster][session]") {
  StateWorker one(shared_cluster().url()), two(shared_cluster().url());
  one.ready();
  two.ready();
  for (const std::string& name : kNames) {
    const std::string begun = new_session(one);
    Visit counting(two, begun);
    Session session = counting.session();
    CHECK(session.get("user") == "ann");
    CHECK(two.run(session.increment("n", 3)) == 3);
    session.set("name", name);
    session.rotate();
    const std::string rotated = counting.commit_id();
    CHECK(rotated != begun);
    CHECK_FALSE(is_alive(one, begun));
    const std::string laptop = login(one, name, rotated), phone = login(two, name, "");
    Visit at(two, laptop);
    Session everywhere = at.session();
    CHECK(everywhere.user() == name);
    CHECK(everywhere.get("n") == "3");
    CHECK(is_alive(one, phone));
    if (name == kNames.back()) break;  // its keys stay, to be looked at
    two.run(everywhere.destroy_all());
    (void)at.commit();
    CHECK_FALSE(is_alive(one, laptop));
    CHECK_FALSE(is_alive(two, phone));
    (void)new_session(one);
  }
  CHECK(are_spread("app:s:*"));
  CHECK(are_spread("app:u:*"));
}

TEST_CASE("limits count on a cluster, by every algorithm, several at once, and leased", "[cluster][limit]") {
  StateWorker one(shared_cluster().url()), two(shared_cluster().url());
  one.ready();
  two.ready();
  const Limit two_per_hour = per_client(2, 1h);
  const std::vector<Limit> kinds{two_per_hour, Limit(two_per_hour).sliding(), Limit(two_per_hour).bucket(),
                                 Limit(two_per_hour).gcra()};
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    const std::string client = "192.0.2." + std::to_string(i + 1);
    for (std::size_t kind = 0; kind < kinds.size(); ++kind) {
      const std::string route = "GET /" + std::to_string(kind);
      CHECK(check(one, kinds[kind], client, route).allowed);
      CHECK(check(two, kinds[kind], client, route).allowed);
      CHECK_FALSE(check(one, kinds[kind], client, route).allowed);
    }
    // Different keys, so different slots; the second refuses, and what the first counted is taken back.
    const std::vector<Limit> both{per_client(3, 1h), per_key(1, 1h, [&](Request&) { return kNames[i]; })};
    CHECK(check(two, both, client, "GET /both").allowed);
    CHECK_FALSE(check(one, both, client, "GET /both").allowed);
    CHECK(check(one, both[0], client, "GET /both").outcomes.at(0).remaining == 1);

    const Limit place = per_client(1, 1h).concurrent();
    const std::vector<std::string> names{"GET /place"};
    {
      Visit holder(one, "", client);
      CHECK(one.run(one.state->limiter.check(holder.exchange.request, std::span(&place, 1), names)).allowed);
      CHECK_FALSE(check(two, place, client, "GET /place").allowed);
    }
    CHECK(two.wait([&] {
      one.poll();
      return check(two, place, client, "GET /place").allowed;
    }));

    const Limit leased = per_client(20, 1h).leased(5);
    int allowed = 0;
    for (int request = 0; request < 30; ++request) allowed += check(one, leased, client, "GET /leased").allowed ? 1 : 0;
    CHECK(allowed == 20);
  }
  CHECK((*one.row)[Count::limits_unavailable].load() == 0);
  CHECK((*two.row)[Count::limits_unavailable].load() == 0);
  CHECK(are_spread("app:l:*"));
}

TEST_CASE("an idempotent request is carried out once on a cluster", "[cluster][idempotency]") {
  int carried_out = 0;
  const auto setup = [&carried_out](App& app) {
    app.post("/orders",
             [&carried_out](Request& request) -> Task<Response> {
               Session session = co_await request.session();
               session.set("order", std::to_string(++carried_out));
               if (request.query("fail")) throw HttpError(409, "not now");
               co_return text(std::to_string(carried_out), 201);
             })
        .idempotent();
  };
  TestClient client(setup, {.redis = shared_cluster().url()});
  TestClient other(setup, {.redis = shared_cluster().url()});
  for (const std::string& name : kNames) {
    const TestClient::Headers key{{"Idempotency-Key", name}};
    client.clear_cookies();
    other.clear_cookies();
    const int before = carried_out;
    const TestResponse first = client.post("/orders", "{}", "application/json", key);
    CHECK(first.status == 201);
    const TestResponse again = other.post("/orders", "{}", "application/json", key);
    CHECK(again.status == 201);
    CHECK(again.body == first.body);
    CHECK(again.header("Idempotency-Replayed") == "true");
    CHECK(other.post("/orders", "{\"n\":2}", "application/json", key).status == 422);
    CHECK(carried_out == before + 1);
  }
  CHECK(are_spread("*:i:*"));
}

TEST_CASE("the quarantine is shared over a cluster", "[cluster][quarantine]") {
  const QuarantinedRequest crash{"0123456789abcdef", "POST", "/crash", "/crash"};
  StateWorker worker(shared_cluster().url());
  worker.ready();
  for (const std::string& name : kNames) {
    worker::QuarantineStore store(*worker.state->redis, name);
    CHECK(worker.run(store.count_kill(crash, 600s)) == 1);
    CHECK(worker.run(store.list()).empty());
    CHECK(worker.run(store.count_kill(crash, 600s)) == 2);
    worker.run(store.put({.notice = {{"0000000000000001", "GET", "/a", "/a"}, 1'700'000'000, 2}, .left = 60s}));
    CHECK(worker.run(store.list()).size() == 2);
    worker.run(store.release(crash.id));
    CHECK(worker.run(store.list()).size() == 1);
  }
  CHECK(are_spread("{*:q}"));
}

namespace {

Task<void> collect(EventReader reader, std::vector<Event>& into) {
  for (;;) into.push_back(co_await reader.next());
}

}  // namespace

TEST_CASE("events reach readers over a cluster, and a reader continues from their history", "[cluster][events]") {
  StateWorker publisher(shared_cluster().url()), listener(shared_cluster().url());
  publisher.ready();
  listener.ready();
  const auto publish = [&](const std::string& topic, const std::string& payload) {
    return publisher.run(Events(publisher.state->events).publish(topic, payload, {.history = 100})).id;
  };
  const auto wait = [&](const std::function<bool()>& condition) {
    return wait_all({&listener, &publisher}, condition);
  };
  for (const std::string& topic : kNames) {
    std::vector<Event> live, late;
    Task<void> reading = collect(Events(listener.state->events).read(topic), live);
    start(listener, reading);
    REQUIRE(wait([&] {
      (void)publish(topic, "begin");
      return !live.empty();
    }));
    const std::string id = publish(topic, "a");
    (void)publish(topic, "b");
    REQUIRE(wait([&] { return live.back().payload == "b"; }));
    CHECK(live.at(live.size() - 2).payload == "a");
    Task<void> catching_up = collect(Events(listener.state->events).read(topic, {.after = id}), late);
    start(listener, catching_up);
    REQUIRE(wait([&] { return !late.empty(); }));
    CHECK(late[0].payload == "b");
    CHECK_FALSE(late[0].gap);
  }
  CHECK(are_spread("app:e:{*"));
}

TEST_CASE("jobs run on a cluster: delayed, unique, tried again, failed, retried and dropped", "[cluster][jobs]") {
  JobWorker worker(config_for(shared_cluster().url()), "w");
  std::map<std::string, int> runs;
  for (const std::string& name : kNames) {
    worker.job(name,
               [&runs, name](Job& job) -> Task<std::string> {
                 ++runs[name];
                 co_await job.progress(0.5);
                 if (job.payload() == "fails") throw std::runtime_error("on purpose");
                 co_return "done by " + name;
               },
               {.attempts = 2, .backoff = 1ms});
  }
  std::vector<std::string> done, failed, unique;
  for (const std::string& name : kNames) {
    done.push_back(worker.enqueue(name, "x", {.priority = 1}));
    done.push_back(worker.enqueue(name, "x", {.delay = 5ms}));
    failed.push_back(worker.enqueue(name, "fails"));
    unique.push_back(worker.enqueue(name, "x", {.delay = 1h, .unique = "u"}));
    CHECK(worker.enqueue(name, "y", {.unique = "u"}) == unique.back());
  }
  CHECK(worker.counts().waiting == 4 * kNames.size());
  CHECK(are_spread("app:j:{*"));
  worker.take_jobs();
  for (const std::string& id : done) {
    CHECK(worker.wait_state(id, JobState::done));
    CHECK(worker.find(id).result == "done by " + id.substr(0, id.find('.')));
  }
  for (const std::string& id : failed) {
    CHECK(worker.wait_state(id, JobState::failed));
    CHECK(worker.run(worker.jobs().retry(id)));
    CHECK(worker.wait([&] { return worker.find(id).state == JobState::failed; }));
    CHECK(worker.run(worker.jobs().drop(id)));
  }
  for (const std::string& id : unique) CHECK(worker.run(worker.jobs().drop(id)));
  for (const std::string& name : kNames) CHECK(runs[name] >= 4);
  CHECK(worker.counts().waiting == 0);
  CHECK(worker.counts().done == done.size());
  CHECK(worker.count(Count::redis_errors) == 0);
}

TEST_CASE("the jobs of a dead worker and the ticks of a schedule are taken over on a cluster", "[cluster][jobs]") {
  JobWorker dying(config_for(shared_cluster().url()), "dying");
  JobWorker heir(config_for(shared_cluster().url()), "heir");
  std::vector<std::string> ids;
  Gate gate;
  int runs = 0;
  for (const std::string& name : kNames) {
    const std::string job = name + "-again";
    dying.job(job, gate.handler());
    heir.job(job, [&runs](Job&) { ++runs; });
    ids.push_back(dying.enqueue(job, "x"));
  }
  dying.take_jobs();
  REQUIRE(dying.wait([&] { return gate.inside == static_cast<int>(kNames.size()); }));
  heir.take_jobs();
  heir.state->jobs.worker_ended(
      {.owner = "dying", .blamed = "", .report = "", .reason = "signal 9", .unexpected = true});
  for (const std::string& id : ids) CHECK(heir.wait_state(id, JobState::done));
  CHECK(runs == static_cast<int>(kNames.size()));

  const auto noon = std::chrono::sys_days(std::chrono::year(2020) / 11 / 30) + 12h;
  for (const std::string& name : kNames) {
    const worker::ScheduleEntry schedule{
        .job = name, .text = "* * * * * UTC", .cron = worker::Cron("* * * * *"), .zone = worker::TimeZone()};
    CHECK(dying.run(dying.state->jobs.tick(schedule, noon)) == worker::Tick::added);
    CHECK(heir.run(heir.state->jobs.tick(schedule, noon)) == worker::Tick::taken);
  }
}

TEST_CASE("the cache works on a cluster: fills, waiting, tags, writes and responses", "[cluster][cache]") {
  CacheWorker one(shared_cluster().url()), two(shared_cluster().url());
  two.ready();
  for (const std::string& name : kNames) {
    const std::string tag = "tag of " + name;
    HeldFill held;
    auto filling = one.cache().get_or_fill(name, {.tags = {tag, "all"}}, held.function());
    start(one, filling);
    REQUIRE(one.wait([&] { return held.begun == 1; }));
    auto not_called = [] { return std::string("filled twice"); };
    auto waiting = two.cache().get_or_fill(name, {}, not_called);
    start(two, waiting);
    REQUIRE(wait_all({&two, &one}, [&] { return two.count(Count::cache_waits) > 0; }));
    held.value = "v1";
    REQUIRE(wait_all({&one, &two}, [&] { return filling.done() && waiting.done(); }));
    CHECK(waiting.take() == "v1");
    two.run(two.cache().invalidate_tag(tag));
    CHECK(one.get(name, "v2", {.tags = {tag, "all"}}) == "v2");
    two.run(two.cache().invalidate(name));
    CHECK(one.get(name, "v3", {.tags = {"all"}}) == "v3");
    std::string saved;
    one.run(one.cache().write_through(name, "v4", [&saved](const std::string& value) { saved = value; }));
    CHECK(saved == "v4");
    CHECK(two.get(name, "not called") == "v4");
    one.run(one.cache().write_behind(name, "v5", [&saved](const std::string& value) { saved = value; }));
    CHECK(two.get(name, "not called") == "v5");
    CHECK(one.wait([&] { return saved == "v5"; }));
  }
  CHECK(are_spread("app:c:{*"));
  CHECK(are_spread("app:c:t:*"));
  CHECK(one.count(Count::cache_unavailable) + two.count(Count::cache_unavailable) == 0);

  int built = 0;
  TestClient client(
      [&built](App& app) {
        app.get("/pages/{name}", [&built](Request&) { return text(std::to_string(++built)); })
            .cached({.ttl = 1min, .tags = {"pages"}});
        app.post("/forget", [](Request& request) -> Task<Response> {
          Cache cache = request.cache();
          co_await cache.invalidate_tag("pages");
          co_return no_content();
        });
      },
      {.redis = shared_cluster().url()});
  for (const std::string& name : kNames) {
    const std::string first = client.get("/pages/" + name).body;
    CHECK(client.get("/pages/" + name).body == first);
    client.post("/forget");
    CHECK(client.get("/pages/" + name).body != first);
  }
}

TEST_CASE("tokens are issued, refreshed, revoked, and their reuse is detected on a cluster", "[cluster][token]") {
  const Tokens tokens({.keys = key_set_from(new_key(KeyAlgorithm::ES256, "k1")), .issuer = "shop", .access = 10min});
  TestClient client(
      [&tokens](App& app) {
        app.post("/login", [&tokens](Request& request) -> Task<Response> {
          std::string user = request.query("user").value_or("");
          const TokenPair pair = co_await tokens.issue(request, std::move(user));
          co_return json_response({{"access", pair.access}, {"refresh", pair.refresh}});
        });
        app.post("/refresh", [&tokens](Request& request) -> Task<Response> {
          std::string presented(co_await request.body());
          const TokenPair pair = co_await tokens.refresh(request, std::move(presented));
          co_return json_response({{"access", pair.access}, {"refresh", pair.refresh}});
        });
        app.post("/revoke",
                 [&tokens](Request& request) -> Task<Response> {
                   co_await tokens.revoke(request.token());
                   co_return no_content();
                 })
            .use(require_token(tokens));
        app.get("/me", [](Request& request) { return text(request.token().subject()); }).use(require_token(tokens));
      },
      {.redis = shared_cluster().url()});
  const auto bearer = [](const nlohmann::json& pair) {
    return TestClient::Headers{{"Authorization", "Bearer " + pair.at("access").get<std::string>()}};
  };
  for (const std::string& name : kNames) {
    const auto pair = nlohmann::json::parse(client.post("/login?user=" + name).body);
    CHECK(client.get("/me", bearer(pair)).body == name);
    const std::string first = pair.at("refresh");
    const auto next = nlohmann::json::parse(client.post("/refresh", first).body);
    CHECK(client.get("/me", bearer(next)).body == name);
    CHECK(client.post("/revoke", "", "text/plain", bearer(next)).status == 204);
    CHECK(client.get("/me", bearer(next)).status == 401);
    CHECK(client.get("/me", bearer(pair)).status == 200);
    if (name == kNames.front() || name == kNames.back()) continue;  // their families stay, to be looked at
    CHECK(client.post("/refresh", first).status == 401);            // used twice: ends the family
    CHECK(client.get("/me", bearer(pair)).status == 401);
    CHECK(client.post("/refresh", next.at("refresh").get<std::string>()).status == 401);
  }
  CHECK(are_spread("*:t:{*"));
}
