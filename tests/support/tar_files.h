#pragma once
// Tar archives made to measure, right and wrong ones.

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fettle::test::tar {

struct Header {
  std::string name = "a";
  char type = '0';
  std::string size = "00000000000";
  std::string link = "";
  std::string magic = std::string("ustar\00000", 8);
  std::string prefix = "";
};

inline const std::string kEnd(1024, '\0');

std::string header_block(const Header& header);
std::string member(Header header, const std::string& data);  // header, data and padding; the size is that of the data

std::string pax(const std::string& records, char type = 'x');                // an extended header
std::string record(const std::string& key, const std::string& value);        // "LENGTH KEY=VALUE\n"

void put(std::string& block, size_t offset, const std::string& text);
std::string checksummed(std::string block);

// A whole archive of plain files, paths as they are given (pax where they are long); a path that ends in '/' is a folder.
std::string archive(const std::vector<std::pair<std::string, std::string>>& files);

}  // namespace fettle::test::tar
