#include "dataset/file_list.h"
#include "dataset/label_list.h"
#include "tests/fuzz/fuzz.h"

using namespace fettle;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  return fuzz::expect_answer(data, size, [](std::span<const uint8_t> bytes) {
    const std::string_view text{reinterpret_cast<const char*>(bytes.data()), bytes.size()};
    int64_t last_line = 0;
    int64_t named = -1;
    read_label_list(text, "fuzz", [&](const LabelRow& row) {
      fuzz::demand(!row.path.empty() && row.path.size() <= kMaxPathBytes && row.path.find('\0') == std::string_view::npos, "a path that can be opened");
      fuzz::demand(row.class_name.empty() ? row.label >= 0 && row.label <= kMaxLabel : row.label == -1, "a label is a number in range or a name");
      fuzz::demand(row.class_name.size() <= kMaxClassNameBytes && row.class_name.find('\0') == std::string_view::npos, "class names are bounded");
      fuzz::demand(named == -1 || named == !row.class_name.empty(), "names and numbers are not mixed");
      fuzz::demand(row.line > last_line, "lines go up");
      named = !row.class_name.empty();
      last_line = row.line;
    });
  });
}
