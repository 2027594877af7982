#include "inspect-artifact/layout.h"

#include <catch2/catch.hpp>

using namespace fettle::inspect_artifact;

TEST_CASE("layout: what a terminal or XML would choke on is written out, the rest stays") {
  CHECK(printable("größe 28 → 16") == "größe 28 → 16");
  CHECK(printable("a\x1b[31mb\n\x7f") == "a\\x1b[31mb\\x0a\\x7f");
  CHECK(printable("\xc2\x9b""2J") == "\\xc2\\x9b2J");                   // a control character in two bytes
  CHECK(printable("\xe2\x80\xae" "exe.txt") == "\\xe2\\x80\\xaeexe.txt");  // right-to-left override
  CHECK(printable("\xef\xbf\xbf") == "\\xef\\xbf\\xbf");                // U+FFFF
  CHECK(printable(std::string("nul\0", 4)) == "nul\\x00");
  // Not UTF-8: a stray byte, a sequence cut short, one too long for its value, a surrogate, beyond U+10FFFF.
  CHECK(printable("\xff|\xc3") == "\\xff|\\xc3");
  CHECK(printable("\xc0\xaf") == "\\xc0\\xaf");
  CHECK(printable("\xe0\x80\xaf") == "\\xe0\\x80\\xaf");
  CHECK(printable("\xed\xa0\x80") == "\\xed\\xa0\\x80");
  CHECK(printable("\xf4\x90\x80\x80") == "\\xf4\\x90\\x80\\x80");
  CHECK(printable("\xf0\x9f\x98\x80") == "\xf0\x9f\x98\x80");
}

TEST_CASE("layout: long text keeps its beginning and its end") {
  CHECK(printable("abcdefghij", 10) == "abcdefghij");
  CHECK(printable("abcdefghijk", 10) == "abcde…hijk");
  CHECK(columns_of(printable(std::string(50, 'x') + "ü", 10)) == 10);
  CHECK(printable("äöüäöüäöü", 4) == "äö…ü");
}

TEST_CASE("layout: values as one would type them") {
  CHECK(value_text("msc-vbs") == "msc-vbs");
  CHECK(value_text(nullptr) == "-");
  CHECK(value_text({16, 20, 24}) == "16,20,24");
  CHECK(value_text({{"a", 1}}) == R"({"a":1})");
  CHECK(value_text(Json::array()) == "[]");
  CHECK(value_text("a\tb") == "a\\x09b");
}

TEST_CASE("layout: columns line up whatever the bytes a letter takes") {
  CHECK(aligned({{"größe", "1"}, {"lr", "100"}}, "lr") == "größe    1\nlr     100\n");
  CHECK(aligned({{"a"}, {"b", "c"}}, "ll", 2) == "  a\n  b  c\n");
  CHECK(beside("a\nbb\n", "1\n2\n", 1) == "a  1\nbb 2\n");
  CHECK(beside("a\n", "1\n2\n", 1) == "a 1\n  2\n");
  CHECK(packed({{"a", "1"}, {"b", "2"}, {"c", "3"}, {"d", "4"}}, 0, 40) == "a  1    c  3\nb  2    d  4\n");
  CHECK(packed({{"a", "1"}, {"b", "2"}, {"c", "3"}, {"d", "4"}}, 0, 5) == "a  1\nb  2\nc  3\nd  4\n");
  CHECK(packed({}, 0, 40).empty());
}

TEST_CASE("layout: directories go by as few parts as tell them apart") {
  CHECK(short_names({"runs/fixed", "runs/vbs/"}) == std::vector<std::string>{"fixed", "vbs"});
  CHECK(short_names({"a/model", "b/model"}) == std::vector<std::string>{"a/model", "b/model"});
  CHECK(short_names({"a", "a"}).size() == 2);
  CHECK(short_names({"/x/run\n1"}) == std::vector<std::string>{"run\\x0a1"});
  CHECK(short_names({"/"}) == std::vector<std::string>{"/"});
  CHECK(short_names({"."}).at(0) == std::filesystem::current_path().filename().string());
}
