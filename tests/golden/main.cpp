// test-golden: every golden case that this build knows, then what ran and what did not.
#include <cstdio>

#include "tests/golden/golden.h"
#include "tests/support/runner.h"
#include "tests/support/shared_files.h"

int main(int argc, char** argv) {
  using namespace fettle;
  std::vector<golden::Kind> kinds = golden::sampling_kinds();
  for (auto more : {golden::byteformer_kinds, golden::sound_file_kinds, golden::image_file_kinds, golden::image_op_kinds, golden::vision_kinds}) {
    for (golden::Kind& kind : more()) kinds.push_back(std::move(kind));
  }
  const std::filesystem::path folder = test::golden_folder();
  golden::Report report;
  golden::register_cases(folder, kinds, report);
  const int status = test::run_tests(argc, argv);
  if (folder.empty()) std::printf("golden skipped, all: FETTLE_GOLDEN names no folder, and ../shared/golden is none\n");
  std::fputs(report.text().c_str(), stdout);
  return status;
}
