#pragma once
// The page that shows which bytes of a file mattered: one HTML file that needs nothing else.

#include <string>

#include "byteformer-train/saliency.h"

namespace fettle::byteformer {

// The attribution along the file, at most 1,000 columns, over the regions; for longer files their first 1,000 bytes as well, where headers
// are; a table of the regions.
std::string to_html(const Explanation& explanation);

}  // namespace fettle::byteformer
