#include "tests/golden/golden.h"

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <set>

#include "base/errors.h"
#include "base/text.h"
#include "tests/support/temp_dir.h"

namespace fettle::golden {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

template <typename T>
double as_double(T value) {
  return static_cast<double>(value);
}

double half_to_double(uint16_t bits) {
  const int exponent = bits >> 10 & 31;
  const double mantissa = bits & 1023;
  const double sign = bits >> 15 ? -1 : 1;
  if (exponent == 31) return mantissa != 0 ? std::numeric_limits<double>::quiet_NaN() : sign * std::numeric_limits<double>::infinity();
  return sign * (exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1024 + mantissa, exponent - 25));
}

double bfloat16_to_double(uint16_t bits) {
  const uint32_t wide = uint32_t{bits} << 16;
  float value = 0;
  std::memcpy(&value, &wide, sizeof value);
  return value;
}

// Elements of stored type From, each through `convert`.
template <typename From, typename To>
std::vector<To> widen(std::span<const uint8_t> bytes, To (*convert)(From)) {
  std::vector<To> out(bytes.size() / sizeof(From));
  for (size_t i = 0; i < out.size(); ++i) {
    From value;
    std::memcpy(&value, bytes.data() + i * sizeof(From), sizeof value);
    out[i] = convert(value);
  }
  return out;
}

const TensorInfo& find_tensor(const Case& test, std::string_view name) {
  const TensorInfo* info = test.tensors.find(name);
  FT_REQUIRE(info != nullptr, "{}: no tensor '{}'", test.directory.string(), name);
  return *info;
}

template <typename To>
bool read_integral(Dtype dtype, std::span<const uint8_t> bytes, std::vector<To>& out) {
  const auto through = [&]<typename From>(From) { out = widen<From, To>(bytes, [](From value) { return static_cast<To>(value); }); };
  switch (dtype) {
    case Dtype::kBool:
    case Dtype::kU8: through(uint8_t{}); return true;
    case Dtype::kI8: through(int8_t{}); return true;
    case Dtype::kI16: through(int16_t{}); return true;
    case Dtype::kU16: through(uint16_t{}); return true;
    case Dtype::kI32: through(int32_t{}); return true;
    case Dtype::kU32: through(uint32_t{}); return true;
    case Dtype::kI64: through(int64_t{}); return true;
    default: return false;
  }
}

// One folder as a test case.
class CaseInvoker : public Catch::ITestInvoker {
 public:
  CaseInvoker(std::string name, fs::path directory, json description, const Kind& kind, Report& report)
      : name_(std::move(name)), directory_(std::move(directory)), description_(std::move(description)), kind_(kind), report_(report) {}

  void invoke() const override {
    INFO("golden case " << directory_.string() << ", kind " << kind_.name);
    Report::Tally& tally = report_.kinds[kind_.name];
    try {
      const fs::path path = directory_ / "tensors.safetensors";
      const bool lists_tensors = description_.contains("tensors") && !description_["tensors"].empty();
      if (fs::exists(path) || lists_tensors) {
        run(path);
      } else {
        const test::TempDir scratch;
        SafetensorsWriter(scratch / "empty.safetensors", {}, {}).commit();
        run(scratch / "empty.safetensors");
      }
    } catch (const Skip& skip) {
      tally.skipped[name_] = skip.reason;
      return;
    } catch (...) {
      ++tally.run;
      throw;
    }
    ++tally.run;
  }

 private:
  void run(const fs::path& tensors) const {
    const SafetensorsFile file(tensors);
    kind_.run({directory_, description_, file});
  }

  std::string name_;
  fs::path directory_;
  json description_;
  const Kind& kind_;
  Report& report_;
};

class FailureInvoker : public Catch::ITestInvoker {
 public:
  explicit FailureInvoker(std::string reason) : reason_(std::move(reason)) {}
  void invoke() const override { FAIL(reason_); }

 private:
  std::string reason_;
};

// Catch2 takes the invoker into a test case of its own.
void register_test(const std::string& name, std::unique_ptr<Catch::ITestInvoker> invoker) {
  Catch::AutoReg(invoker.release(), CATCH_INTERNAL_LINEINFO, Catch::StringRef(), Catch::NameAndTags{name, "[golden]"});
}

// Every folder with a case.json, sorted; links to folders are followed, each folder entered once.
std::vector<fs::path> case_folders(const fs::path& root) {
  std::vector<fs::path> found;
  std::set<fs::path> entered{fs::canonical(root)};
  const auto options = fs::directory_options::follow_directory_symlink;
  for (auto it = fs::recursive_directory_iterator(root, options); it != fs::recursive_directory_iterator(); ++it) {
    if (it->is_directory() && !entered.insert(fs::canonical(it->path())).second) it.disable_recursion_pending();
    if (it->path().filename() == "case.json") found.push_back(it->path().parent_path());
  }
  std::sort(found.begin(), found.end());
  return found;
}

}  // namespace

void require_known(const json& object, std::string_view where, std::initializer_list<std::string_view> known) {
  for (const auto& [key, value] : object.items()) {
    if (std::find(known.begin(), known.end(), key) == known.end()) throw Skip{fmt::format("{}{} is not known", where, key)};
  }
}

std::vector<int64_t> read_integers(const Case& test, std::string_view name) {
  const TensorInfo& info = find_tensor(test, name);
  std::vector<int64_t> out;
  FT_REQUIRE(read_integral(info.dtype, test.tensors.bytes(info), out), "{}: tensor '{}' is {}, expected integers",
             test.directory.string(), name, dtype_name(info.dtype));
  return out;
}

std::vector<double> read_doubles(const Case& test, std::string_view name) {
  const TensorInfo& info = find_tensor(test, name);
  const std::span<const uint8_t> bytes = test.tensors.bytes(info);
  std::vector<double> out;
  if (info.dtype == Dtype::kF64) return widen<double>(bytes, as_double<double>);
  if (info.dtype == Dtype::kF32) return widen<float>(bytes, as_double<float>);
  if (info.dtype == Dtype::kF16) return widen<uint16_t>(bytes, half_to_double);
  if (info.dtype == Dtype::kBF16) return widen<uint16_t>(bytes, bfloat16_to_double);
  FT_REQUIRE(read_integral(info.dtype, bytes, out), "{}: tensor '{}' is {}, expected numbers", test.directory.string(), name,
             dtype_name(info.dtype));
  return out;
}

std::string Report::text() const {
  std::string lines;
  std::string reasons;
  for (const auto& [kind, tally] : kinds) {
    lines += fmt::format("golden {}: {} run, {} skipped\n", kind, tally.run, tally.skipped.size());
    if (tally.known) {
      for (const auto& [name, reason] : tally.skipped) reasons += fmt::format("golden skipped {}: {}\n", name, reason);
    } else {
      std::vector<std::string> names;
      for (const auto& [name, reason] : tally.skipped) names.push_back(name);
      reasons += fmt::format("golden skipped, unknown kind {}: {}\n", kind, join(names, ", "));
    }
  }
  return lines + reasons;
}

void register_cases(const fs::path& folder, const std::vector<Kind>& kinds, Report& report) {
  for (const Kind& kind : kinds) report.kinds[kind.name].known = true;
  if (folder.empty()) return;
  for (const fs::path& directory : case_folders(folder)) {
    const std::string name = fs::relative(directory, folder).string();
    const fs::path path = directory / "case.json";
    json description = json::parse(test::read_text(path), nullptr, false);
    if (!description.is_object()) {
      register_test(name, std::make_unique<FailureInvoker>(fmt::format("{} is no JSON object", path.string())));
    } else if (!description.contains("kind") || !description["kind"].is_string()) {
      register_test(name, std::make_unique<FailureInvoker>(fmt::format("{} names no kind", path.string())));
    } else {
      const std::string kind_name = description["kind"];
      const auto kind = std::find_if(kinds.begin(), kinds.end(), [&](const Kind& known) { return known.name == kind_name; });
      if (kind == kinds.end()) {
        report.kinds[kind_name].skipped[name] = "unknown kind";
      } else {
        register_test(name, std::make_unique<CaseInvoker>(name, directory, std::move(description), *kind, report));
      }
    }
  }
}

}  // namespace fettle::golden
