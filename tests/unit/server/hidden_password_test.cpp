#include "server/hidden_password.h"

#include <stdlib.h>

#include "support/catch.h"

using namespace pronghorn::server;

namespace {

struct CommandLine {
  explicit CommandLine(std::vector<std::string> arguments) : texts(std::move(arguments)) {
    ::unsetenv(kHiddenRedisVariable);
    texts.insert(texts.begin(), "pronghorn");
    for (std::string& text : texts) argv.push_back(text.data());
  }
  CommandLine(const CommandLine&) = delete;
  CommandLine& operator=(const CommandLine&) = delete;
  ~CommandLine() { ::unsetenv(kHiddenRedisVariable); }
  std::vector<std::string> take() { return take_arguments(static_cast<int>(argv.size()), argv.data()); }

  std::vector<std::string> texts;
  std::vector<char*> argv;
};

}  // namespace

// Every user could read it with ps.
TEST_CASE("the password of Redis leaves the command line", "[hidden_password]") {
  CommandLine line({"serve", "app.so", "--redis", "redis://shop:hun@ter2@db:6379/1"});
  CHECK(line.take() == std::vector<std::string>{"serve", "app.so", "--redis", "redis://shop:hun@ter2@db:6379/1"});
  CHECK(line.texts[4] == "redis://shop:********@db:6379/1");
}

TEST_CASE("the password of a cluster leaves the command line", "[hidden_password]") {
  CommandLine line({"serve", "app.so", "--redis=redis+cluster://shop:hunter2@a:7000,b:7000"});
  (void)line.take();
  CHECK(line.texts[3] == "--redis=redis+cluster://shop:*******@a:7000,b:7000");
}

TEST_CASE("the next image of the program gets the password that its command line no longer has", "[hidden_password]") {
  CommandLine line({"serve", "--redis=redis://:hunter2@db"});
  (void)line.take();
  CHECK(line.texts[2] == "--redis=redis://:*******@db");
  CHECK(line.take() == std::vector<std::string>{"serve", "--redis=redis://:hunter2@db"});
}

TEST_CASE("a command line without a password stays as it is", "[hidden_password]") {
  const std::vector<std::string> arguments{
      "serve", "redis.so", "--redis", "redis://db:6379/0", "--redis=redis://u@db", "--redis", "unix:/run/redis.sock",
      "redis"};
  CommandLine line(arguments);
  CHECK(line.take() == arguments);
  CHECK(std::vector<std::string>(line.texts.begin() + 1, line.texts.end()) == arguments);
  CHECK(::getenv(kHiddenRedisVariable) == nullptr);
}
