#include "base/text.h"

#include <catch2/catch.hpp>

using namespace fettle;

TEST_CASE("text: split keeps empty parts, join undoes it") {
  CHECK(split("a,,b", ',') == std::vector<std::string>{"a", "", "b"});
  CHECK(split("", ',').empty());
  CHECK(split(",", ',') == std::vector<std::string>{"", ""});
  CHECK(join(split("16:40:5", ':'), ":") == "16:40:5");
}

TEST_CASE("text: the nearest word is found only when it is near") {
  const std::vector<std::string> keys{"batch_size", "epochs", "lr"};
  CHECK(nearest_word("batchsize", keys) == "batch_size");
  CHECK(nearest_word("epoch", keys) == "epochs");
  CHECK(nearest_word("lt", keys) == "lr");
  CHECK(nearest_word("momentum", keys).empty());
  CHECK(nearest_word("", keys).empty());
}

TEST_CASE("text: a quoted name cannot disturb the terminal or fill the screen") {
  CHECK(quote("layer1.0.weight") == "'layer1.0.weight'");
  CHECK(quote("a\x1b[2J\n") == "'a\\x1b[2J\\x0a'");
  CHECK(quote("Grüße") == "'Grüße'");
  CHECK(quote(std::string(101, 'x')) == "'" + std::string(100, 'x') + "...'");
}
