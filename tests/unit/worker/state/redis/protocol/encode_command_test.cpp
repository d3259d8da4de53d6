#include "worker/state/redis/protocol/encode_command.h"

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "support/catch.h"
#include "worker/state/redis/protocol/words.h"

using namespace pronghorn::worker;

TEST_CASE("a command is an array of bulk strings after what is queued", "[redis]") {
  std::string output = "queued";
  const std::string binary("\r\n\0$", 4);
  append_command(output, std::array<std::string_view, 4>{"SET", "twenty-one characters", "", binary});
  CHECK(output == "queued*4\r\n$3\r\nSET\r\n$21\r\ntwenty-one characters\r\n$0\r\n\r\n$4\r\n" + binary + "\r\n");
}

TEST_CASE("a command may have any number of words of any size", "[redis]") {
  const std::string large(100'000, 'x');
  std::vector<std::string_view> words(12, "w");
  words.emplace_back(large);
  std::string output;
  append_command(output, words);
  CHECK(output.starts_with("*13\r\n$1\r\nw\r\n"));
  CHECK(output.ends_with("$100000\r\n" + large + "\r\n"));
}

TEST_CASE("a list of words keeps all of them, however many they are", "[redis]") {
  Words words{"first"};
  std::vector<std::string> texts;
  for (std::size_t i = 1; i < 3 * Words::kInline; ++i) texts.push_back(std::to_string(i));
  for (const std::string& text : texts) words.add(text);
  REQUIRE(words.all().size() == 3 * Words::kInline);
  CHECK(words.all()[0] == "first");
  for (std::size_t i = 0; i < texts.size(); ++i) CHECK(words.all()[i + 1] == texts[i]);
  Words few{"a", "b"};
  Words both = few;
  both.add(words.all());
  CHECK(both.all().size() == words.all().size() + 2);
  CHECK(few.all().size() == 2);
}
