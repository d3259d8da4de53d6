#include "worker/control/job_commands.h"

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "unit/worker/state/jobs/job_worker.h"

using namespace pronghorn;
using namespace pronghorn::test;

namespace {

struct Operator {
  std::vector<nlohmann::json> rows;
  std::string error;

  void command(const nlohmann::json& asked) {
    rows.clear();
    error.clear();
    worker.run(worker::carry_out_job_command(&worker.state->jobs, {MessageKind::jobs_command, 1, asked.dump()},
                                             [this](const ChannelMessage& message) {
                                               if (message.kind == MessageKind::jobs_end) {
                                                 error = message.text;
                                               } else {
                                                 rows.push_back(nlohmann::json::parse(message.text));
                                               }
                                               return true;
                                             }));
  }
  // How often Redis has read from a connection.
  [[nodiscard]] long reads() const {
    const std::string stats = redis.command({"INFO", "stats"});
    const std::string name = "total_reads_processed:";
    return std::stol(stats.substr(stats.find(name) + name.size()));
  }

  const RedisProcess redis;
  JobWorker worker{redis, "w"};
};

}  // namespace

// Each job cost a round trip of its own, so 10,000 of them took more than the nine seconds that there are if Redis was
// a millisecond away.
TEST_CASE("commands for a thousand jobs need few round trips", "[jobs]") {
  Operator me;
  for (int i = 0; i < 1'000; ++i) me.worker.enqueue("email", std::to_string(i));
  long before = me.reads();
  me.command({{"do", "list"}, {"state", "waiting"}, {"count", 1'000}});
  CHECK(me.error.empty());
  REQUIRE(me.rows.size() == 1'000);
  CHECK(me.rows.front().at("state") == "waiting");
  CHECK(me.reads() - before < 200);

  before = me.reads();
  me.command({{"do", "drop"}, {"state", "waiting"}});
  CHECK(me.rows.at(0).at("changed") == 1'000);
  CHECK(me.reads() - before < 200);
  CHECK(me.worker.counts().waiting == 0);
}

// What had been done by then was not told.
TEST_CASE("a command that fails in between tells how many jobs it has changed", "[jobs]") {
  Operator me;
  for (int i = 0; i < 3; ++i) me.worker.enqueue("email", "x");
  me.worker.enqueue("mail", "x");
  me.redis.command({"DEL", key_of("mail", "unique")});
  me.redis.command({"SET", key_of("mail", "unique"), "text"});
  me.command({{"do", "drop"}, {"state", "waiting"}});
  CHECK(me.error.find("3 jobs were changed before that") != std::string::npos);
}
