#pragma once
// For pages that a tool writes.

#include <string>
#include <string_view>

namespace fettle {

// Text for an element or for an attribute in either kind of quotes; control characters become blanks. Other bytes stay.
std::string html_escaped(std::string_view text);

}  // namespace fettle
