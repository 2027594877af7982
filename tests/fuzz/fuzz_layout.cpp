#include "bytes/layout.h"
#include "tests/fuzz/fuzz.h"

using namespace fettle;

// Nothing is refused: whatever the bytes are, they are covered.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::vector<byteformer::Region> regions = byteformer::file_layout({data, size});
  size_t at = 0;
  for (const byteformer::Region& region : regions) {
    fuzz::demand(region.begin == at && region.end > at, "regions ascend without gaps and overlaps");
    fuzz::demand(!region.name.empty() && region.name.size() <= byteformer::kMaxRegionName, "names are short");
    for (const char c : region.name) fuzz::demand(c >= 32 && c < 127, "names can be printed");
    at = region.end;
  }
  fuzz::demand(at == size, "the whole file is covered");
  fuzz::demand(regions.size() <= byteformer::kMaxRegions, "regions are few");
  return 0;
}
