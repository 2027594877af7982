#include "base/text.h"

#include <catch2/catch.hpp>

#include <utility>

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
  CHECK(quote("abcd", 3) == "'abc...'");
  CHECK(quote_path(std::string(4095, '/')) == "'" + std::string(4095, '/') + "'");
}

TEST_CASE("text: lower case is of ASCII letters alone") { CHECK(to_lower("AZaz09@[\xc3\x84") == "azaz09@[\xc3\x84"); }

TEST_CASE("text: UTF-8 is what the standard says, no more") {
  for (const char* good : {"", "a", "größe", "\xf0\x9f\x98\x80", "\xef\xbf\xbf", "\x7f"}) CHECK(is_utf8(good));
  // A stray byte, a sequence cut short, ones too long for their value, a surrogate, beyond U+10FFFF.
  for (const char* bad : {"\xff", "\x80", "a\xc3", "\xc0\xaf", "\xc1\xbf", "\xe0\x80\xaf", "\xed\xa0\x80", "\xf0\x80\x80\xaf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80"}) CHECK_FALSE(is_utf8(bad));
  uint32_t point = 0;
  CHECK(decode_utf8("ö!", point) == 2);
  CHECK(point == 0xf6);
}

TEST_CASE("text: a number is the whole text, and finite") {
  double number = 0;
  CHECK(parse_number("0.5", number));
  CHECK(number == 0.5);
  CHECK(parse_number("-1e3", number));
  CHECK(number == -1000);
  for (const char* text : {"", " 1", "1 ", "1x", "x", "+1", "inf", "nan", "1e999", "0x10"}) {
    INFO(text);
    CHECK_FALSE(parse_number(text, number));
  }
}

TEST_CASE("text: sizes with units are read as coreutils reads them") {
  const std::pair<const char*, int64_t> sizes[] = {{"0", 0}, {"512", 512}, {"512B", 512}, {"4G", int64_t{4} << 30}, {"4GiB", int64_t{4} << 30}, {"1.5kib", 1536},
                                                   {"500MB", 500'000'000}, {"2KB", 2000}, {"3T", int64_t{3} << 40}};
  for (const auto& [text, expected] : sizes) {
    INFO(text);
    int64_t bytes = -1;
    CHECK(parse_bytes(text, bytes));
    CHECK(bytes == expected);
  }
  for (const char* text : {"", "G", "-1", "1 G", "4GB ", "4Gi", "4X", "4GiBs", "1.2.3", "1e3", "9999999T"}) {
    INFO(text);
    int64_t bytes = -1;
    CHECK_FALSE(parse_bytes(text, bytes));
  }
}
