#pragma once
// What the classes of every shape of data must be. Errors (kInput) begin with or name `name`, as it is to be shown.

#include <cstdint>
#include <string>
#include <vector>

namespace fettle {

// The number of classes when labels are numbers: seen[label] says whether a label occurs, and all must.
int64_t count_classes(const std::vector<bool>& seen, const std::string& name);

// No two names may differ in case (ASCII) alone.
void require_names_differ(const std::vector<std::string>& names, const std::string& name);

}  // namespace fettle
