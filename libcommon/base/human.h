#pragma once
// Numbers for people. Nothing here is for machines to read back.

#include <cstdint>
#include <string>

namespace fettle {

std::string human_bytes(uint64_t bytes);        // "512 B", "1.2 KiB", "3.4 GiB"
std::string human_duration(double seconds);     // "0.42 s", "12.3 s", "3 min 05 s", "2 h 07 min", "3 d 04 h"
std::string human_count(double count);          // "950", "12.3 k", "41.6 M", "1.81 G", "3.2 T"
std::string with_thousands(int64_t count);      // "60,000"

}  // namespace fettle
