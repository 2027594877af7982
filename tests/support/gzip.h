#pragma once

#include <string>
#include <string_view>

namespace fettle::test {

std::string gzip(std::string_view text);  // one gzip member

}  // namespace fettle::test
