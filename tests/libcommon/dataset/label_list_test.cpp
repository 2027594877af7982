#include "dataset/label_list.h"

#include <catch2/catch.hpp>
#include <fmt/core.h>

#include "tests/support/expect_error.h"

using namespace fettle;
using namespace fettle::test;

namespace {

using Rows = std::vector<std::string>;

// "line path label"
Rows read(std::string_view text) {
  Rows rows;
  read_label_list(text, "'l'", [&](const LabelRow& row) {
    rows.push_back(fmt::format("{} {} {}", row.line, row.path, row.class_name.empty() ? std::to_string(row.label) : fmt::format("<{}>", row.class_name)));
  });
  return rows;
}

void refused(const std::string& part, std::string_view text) {
  INFO(text.substr(0, 200));
  expect_error(ExitCode::kInput, part, [&] { read(text); });
}

}  // namespace

TEST_CASE("label list: CSV with a header finds its columns, without one takes two") {
  const Rows numbers{"2 a.jpg 0", "3 b/c.png 12"};
  CHECK(read("path,label\na.jpg,0\nb/c.png,12\n") == numbers);
  CHECK(read("split,Label,size,PATH\nx,0,,a.jpg\ny,012,7,b/c.png") == numbers);
  CHECK(read("\xef\xbb\xbfpath,label\r\na.jpg,0\r\nb/c.png,12\r\n") == numbers);
  CHECK(read("a.jpg,cat\nb.jpg,hot dog\n") == Rows{"1 a.jpg <cat>", "2 b.jpg <hot dog>"});
  CHECK(read("\n\r\n a,0\n\n") == Rows{"3  a 0"});
  CHECK(read("").empty());
  CHECK(read("\n\n").empty());
  CHECK(read("path,label").empty());
}

TEST_CASE("label list: CSV quotes commas, line ends and quotes, and lines are counted through them") {
  CHECK(read("\"a,b.jpg\",x\n\"c\nd\r\n.jpg\",\"y\"\n\"say \"\"hi\"\"\",\"\"\"z\"\"\"\r\n\"\"\"\",\"a, b\"") ==
        Rows{"1 a,b.jpg <x>", "2 c\nd\r\n.jpg <y>", "5 say \"hi\" <\"z\">", "6 \" <a, b>"});
  refused("line 2 of 'l' has a quote that is not closed", "a,1\n\"b,2\nc,3\n");
  refused("line 1 of 'l' has a quote that is not closed", "\"");
  refused("line 3 of 'l' has text behind a closing quote", "a,1\n\n\"b\"c,2");
  refused("line 1 of 'l' has text behind a closing quote", "\"b\"\"c\" ,2");
  refused("line 1 of 'l' has a quote amid a field", "b\"c\",2");
}

TEST_CASE("label list: JSON Lines") {
  CHECK(read("{\"path\": \"a.jpg\", \"label\": 0}\r\n\n{\"label\": 3, \"more\": [1, {}], \"path\": \"\\u00e4\\n.png\"}") == Rows{"1 a.jpg 0", "3 \xc3\xa4\n.png 3"});
  CHECK(read("{\"path\": \"a\", \"label\": \"3\"}\n{\"path\": \"b\", \"label\": \"cat\"}") == Rows{"1 a <3>", "2 b <cat>"});
  const std::string good = "{\"path\": \"a\", \"label\": 1}\n";
  refused("line 2 of 'l' is not valid JSON", good + "{\"path\": \"a\", \"label\": 1");
  refused("line 2 of 'l' is not valid JSON", good + good.substr(0, good.size() - 1) + good);
  refused("line 2 of 'l' is not valid JSON", good + "{\"path\": \"\xff\", \"label\": 1}");
  refused("line 2 of 'l' holds array, expected an object with \"path\" and \"label\"", good + "[1]");
  refused("line 2 of 'l' is not valid JSON", good + std::string(60'000, '['));
  refused("line 2 of 'l' has no \"path\"", good + "{\"label\": 1}");
  refused("line 2 of 'l' has no \"label\"", good + "{\"path\": \"a\"}");
  refused("line 2 of 'l' has a \"path\" that is number, expected a string", good + "{\"path\": 1, \"label\": 1}");
  for (const std::string label : {"null", "true", "[1]"}) refused("expected an integer or a string", good + "{\"path\": \"a\", \"label\": " + label + "}");
  refused("has a \"label\" that is a fraction", good + "{\"path\": \"a\", \"label\": 1.0}");
  refused("line 2 of 'l' has the label -1, expected an integer from 0 to 16777215", good + "{\"path\": \"a\", \"label\": -1}");
  refused("has the label 16777216", good + "{\"path\": \"a\", \"label\": 16777216}");
  refused("has the label 18446744073709551615", good + "{\"path\": \"a\", \"label\": 18446744073709551615}");
  CHECK(read("{\"path\": \"a\", \"label\": 16777215}") == Rows{"1 a 16777215"});
  refused("line 1 of 'l' holds a NUL byte", "{\"path\": \"a\\u0000b\", \"label\": 1}");
  refused("line 1 of 'l' holds a NUL byte", "{\"path\": \"a\", \"label\": \"b\\u0000\"}");
  refused("line 1 of 'l' begins a JSON array: expected an object a line", "[{\"path\": \"a\", \"label\": 1}]");
}

TEST_CASE("label list: columns that are missing, too many or unnamed") {
  refused("line 1 of 'l' has 1 column: expected two, or a header that names 'path' and 'label'", "a.jpg\n");
  refused("line 1 of 'l' has 3 columns: expected two", "a.jpg,1,2\n");
  refused("line 1 of 'l' is a header without the column 'label'", "path,class\na,1\n");
  refused("line 1 of 'l' is a header without the column 'path'", "file,Label\na,1\n");
  refused("line 1 of 'l' is a header that names a column twice", "path,label,path\na,1,b\n");
  refused("line 3 of 'l' has 1 column, expected 2", "path,label\na,1\nb\n");
  refused("line 2 of 'l' has 3 columns, expected 2", "a,1\nb,2,3\n");
  refused("line 2 of 'l' has 4 columns, expected 3", "path,label,x\nb,2,3,4\n");
}

TEST_CASE("label list: labels that are none") {
  refused("line 2 of 'l' has an empty label", "a,1\nb,\n");
  refused("line 2 of 'l' has an empty path", "a,1\n,1\n");
  refused("line 1 of 'l' has the label ' 1', with a blank at an end", "a, 1\n");
  refused("has the label 'cat\\x09', with a blank at an end", "a,cat\t\n");
  for (const std::string label : {"-1", "+1", "1.0", "2e3", ".5", "16777216", "99999999999999999999"}) {
    refused("line 1 of 'l' has the label '" + label + "', expected an integer from 0 to 16777215 or a class name", "a," + label);
  }
  CHECK(read("a,3d model\nb,+\nc,1x\nd,inf\ne,-") == Rows{"1 a <3d model>", "2 b <+>", "3 c <1x>", "4 d <inf>", "5 e <->"});
  refused("line 3 of 'l' has a class name as its label, expected numbers as from line 1 on", "a,1\nb,2\nc,l3\n");
  refused("line 4 of 'l' has a number as its label, expected names as from line 2 on", "path,label\na,x\nb,y\nc,3\n");
  refused("has a class name of 256 bytes, more than the 255 allowed", "a," + std::string(256, 'c'));
}

TEST_CASE("label list: NUL bytes and overlong rows are refused where they are") {
  refused("line 2 of 'l' holds a NUL byte", std::string_view("a,1\nb\0,1\n", 9));
  refused("line 1 of 'l' holds a NUL byte", std::string_view("{\"path\"\0", 8));
  refused("line 2 of 'l' holds a NUL byte", std::string_view("path,label,x\na,1,\0", 18));
  refused("line 1 of 'l' has a path of 4096 bytes, more than the 4095 allowed", std::string(4096, 'p') + ",1");
  CHECK(read(std::string(4095, 'p') + ",1").size() == 1);
  refused("line 2 of 'l' is longer than 65536 bytes", "a,1\n" + std::string(65'537, 'p') + ",1");
  refused("line 1 of 'l' is longer than 65536 bytes", "\"" + std::string(200'000, '\n'));
  refused("line 1 of 'l' is longer than 65536 bytes", "{" + std::string(65'536, ' '));
  const std::string row = "path,label,x\na,1,";
  CHECK(read(row + std::string(65'536 - 4, 'x')).size() == 1);
  refused("line 2 of 'l' is longer", row + std::string(65'536 - 3, 'x'));
}
