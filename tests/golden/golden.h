#pragma once
// Golden cases: values recorded from public reference implementations, one folder each, with a case.json whose `kind` says
// what it is and a tensors.safetensors with inputs and expected outputs. Every case under the folder that FETTLE_GOLDEN names
// becomes a Catch2 test case called by its path. Nothing is known of a case but its kind: name, shapes, seeds and tolerances
// come from its files, so another folder with cases of the same kinds runs as well.

#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "io/safetensors.h"

namespace fettle::golden {

struct Case {
  std::filesystem::path directory;
  nlohmann::json json;             // case.json
  const SafetensorsFile& tensors;  // holds none where the case has no such file
};

// Thrown by a handler that cannot run a case here: it counts as skipped and is named with the reason.
struct Skip {
  std::string reason;
};

struct Kind {
  std::string name;
  void (*run)(const Case&);  // asserts with Catch2
};

std::vector<Kind> byteformer_kinds();
std::vector<Kind> sampling_kinds();
std::vector<Kind> image_file_kinds();
std::vector<Kind> image_op_kinds();
std::vector<Kind> sound_file_kinds();
std::vector<Kind> vision_kinds();          // with LibTorch only, as what follows
std::vector<Kind> image_geometry_kinds();  // part of vision_kinds()
std::vector<Kind> byteformer_network_kinds();  // so are these

// ---- for handlers ----------------------------------------------------------------------------------------------------

// Throws Skip for a key of `object` that the handler does not know; `where` ("arguments.") precedes it in the reason.
void require_known(const nlohmann::json& object, std::string_view where, std::initializer_list<std::string_view> known);

// A tensor's elements in row-major order. Any integer or floating type of the format, widened; bool as 0 and 1. Errors: no
// such tensor, floating values asked for as integers.
std::vector<int64_t> read_integers(const Case& test, std::string_view name);
std::vector<double> read_doubles(const Case& test, std::string_view name);

// ---- for the main ----------------------------------------------------------------------------------------------------

// What became of the cases, by kind.
class Report {
 public:
  struct Tally {
    bool known = false;
    int run = 0;
    std::map<std::string, std::string> skipped;  // case -> reason
  };
  std::map<std::string, Tally> kinds;

  std::string text() const;  // one line a kind, then one line a skipped case; the cases of an unknown kind share one
};

// Registers every case found under `folder`, however deep, as a test case: those of a known kind, and as failures those whose
// case.json is none. `kinds` and `report` must live until the tests have run.
void register_cases(const std::filesystem::path& folder, const std::vector<Kind>& kinds, Report& report);

}  // namespace fettle::golden
