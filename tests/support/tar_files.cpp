#include "tests/support/tar_files.h"

#include <cstdio>

namespace fettle::test::tar {

void put(std::string& block, size_t offset, const std::string& text) { block.replace(offset, text.size(), text); }

std::string checksummed(std::string block) {
  put(block, 148, "        ");
  unsigned sum = 0;
  for (const char c : block) sum += static_cast<unsigned char>(c);
  char text[8];
  std::snprintf(text, sizeof text, "%06o", sum);
  put(block, 148, std::string(text, 6) + std::string("\0 ", 2));
  return block;
}

std::string header_block(const Header& header) {
  std::string block(512, '\0');
  put(block, 0, header.name);
  put(block, 100, std::string("0000644\0000000000\0000000000\0", 24));
  put(block, 124, header.size);
  put(block, 136, "00000000000");
  block[156] = header.type;
  put(block, 157, header.link);
  put(block, 257, header.magic);
  put(block, 345, header.prefix);
  return checksummed(block);
}

static std::string octal(size_t size) {
  char text[12];
  std::snprintf(text, sizeof text, "%011zo", size);
  return text;
}

std::string member(Header header, const std::string& data) {
  header.size = octal(data.size());
  return header_block(header) + data + std::string((512 - data.size() % 512) % 512, '\0');
}

std::string pax(const std::string& records, char type) { return member({.name = "pax", .type = type}, records); }

// "LENGTH KEY=VALUE\n" with the length of it all.
std::string record(const std::string& key, const std::string& value) {
  const size_t rest = key.size() + value.size() + 3;
  size_t length = rest + 1;
  while (std::to_string(length).size() + rest != length) ++length;
  return std::to_string(length) + " " + key + "=" + value + "\n";
}

std::string archive(const std::vector<std::pair<std::string, std::string>>& files) {
  std::string bytes;
  for (const auto& [path, data] : files) {
    if (path.size() >= 100) bytes += pax(record("path", path));
    bytes += member({.name = path.substr(0, 99), .type = path.ends_with('/') ? '5' : '0'}, data);
  }
  return bytes + kEnd;
}

}  // namespace fettle::test::tar
