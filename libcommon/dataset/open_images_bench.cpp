// Times opening labelled images, and a second walk for the identity alone, which opening saves. One JSON object on stdout:
// seconds of each repetition, alternating; memory that the data set keeps and that opening took at most, for each image (maps of archives included).
//
//   bench-open-images DATA REPEATS
#include <fmt/format.h>
#include <malloc.h>
#include <sys/resource.h>

#include <chrono>
#include <cstdlib>
#include <ctime>
#include <string>

#include "base/bench_main.h"
#include "base/build_info.h"
#include "dataset/image_files.h"

namespace {

using namespace fettle;

// Wall and processor time: on a busy machine only the second one says what the work takes.
struct Times {
  std::string wall, cpu;
};

template <class Call>
void time(Times& times, Call call) {
  const auto began = std::chrono::steady_clock::now();
  const std::clock_t cpu_began = std::clock();
  call();
  const char* const separator = times.wall.empty() ? "" : ", ";
  times.cpu += fmt::format("{}{:.3f}", separator, static_cast<double>(std::clock() - cpu_began) / CLOCKS_PER_SEC);
  times.wall += fmt::format("{}{:.3f}", separator, std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count());
}

double peak_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return 1024.0 * static_cast<double>(usage.ru_maxrss);
}

double heap_bytes() {
  const auto info = mallinfo2();
  return static_cast<double>(info.uordblks + info.hblkhd);
}

void run(char** argv) {
  const DataSource source{.data = argv[1], .val_fraction = 0.1};
  const int repeats = std::atoi(argv[2]);
  // Memory first, in a process that has done nothing else.
  const double peak_before = peak_bytes(), heap_before = heap_bytes();
  ImageFileDataset data = open_image_files(source);
  const auto images = static_cast<double>(data.train.size() + data.validation.size());
  const double kept = (heap_bytes() - heap_before) / images, most = (peak_bytes() - peak_before) / images;
  Times opened, identified;
  for (int i = 0; i < repeats; ++i) {
    time(opened, [&] { data = open_image_files(source); });
    time(identified, [&] { image_data_id(data.inputs[0].path, data.inputs[0].format, false); });
  }
  const auto build = build_info();
  fmt::print("{{\"commit\": \"{}\", \"dirty\": {}, \"format\": \"{}\", \"images\": {:.0f}, \"kept_bytes_per_image\": {:.1f}, \"peak_bytes_per_image\": {:.1f}, "
             "\"open_s\": [{}], \"open_cpu_s\": [{}], \"id_alone_s\": [{}], \"id_alone_cpu_s\": [{}]}}\n",
             build.commit, build.dirty, data_format_name(data.inputs[0].format), images, kept, most, opened.wall, opened.cpu, identified.wall,
             identified.cpu);
}

}  // namespace

int main(int argc, char** argv) { return fettle::bench_main(argc, argv, "DATA REPEATS", run); }
