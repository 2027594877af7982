#pragma once
// A case that cannot run here is skipped and counted, never passed: `if (!have) return skip("no GPU");`

#include <string_view>

namespace fettle::test {

void skip(std::string_view reason);  // prints "skipped: <case>: <reason>" and counts
int skipped_cases();

}  // namespace fettle::test
