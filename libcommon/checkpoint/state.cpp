#include "checkpoint/state.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "artifact/manifest.h"
#include "base/errors.h"
#include "checkpoint/tensors.h"
#include "io/file.h"

namespace fettle {
namespace fs = std::filesystem;
namespace {

constexpr const char* kPrefix = "step-";
constexpr const char* kTensorsName = "tensors.safetensors";
constexpr const char* kFactsName = "state.json";

fs::path state_directory(const fs::path& run, int64_t step) { return run / kStateName / fmt::format("{}{:08}", kPrefix, step); }

std::optional<int64_t> step_of(const fs::path& directory) {
  const std::string name = directory.filename().string();
  if (!name.starts_with(kPrefix)) return std::nullopt;
  int64_t step = 0;
  const char* const end = name.data() + name.size();
  const auto [stopped, error] = std::from_chars(name.data() + 5, end, step);
  return error == std::errc() && stopped == end ? std::optional(step) : std::nullopt;
}

std::vector<int64_t> steps_of(const fs::path& run) {
  std::vector<int64_t> steps;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(run / kStateName, error)) {
    if (const auto step = step_of(entry.path())) steps.push_back(*step);
  }
  std::sort(steps.begin(), steps.end());
  return steps;
}

// What a dense tensor's strides say, where it matters: 4-D tensors only.
bool is_channels_last(const at::Tensor& tensor) {
  return tensor.dim() == 4 && tensor.is_contiguous(at::MemoryFormat::ChannelsLast) && !tensor.is_contiguous();
}

}  // namespace

void save_state(const fs::path& run, const TrainState& state, int keep, std::optional<int64_t> keep_step) {
  fs::create_directories(run / kStateName);
  const fs::path target = state_directory(run, state.step);
  if (fs::exists(target)) return;  // a run that was stopped at this step saves nothing new
  Json facts = state.facts;
  facts["step"] = state.step;
  facts["channels_last"] = Json::array();
  for (const auto& [name, tensor] : state.tensors) {
    if (is_channels_last(tensor)) facts["channels_last"].push_back(name);
  }
  AtomicDirectory directory(target);
  write_tensors(directory.path() / kTensorsName, state.tensors, {});
  write_file_atomic(directory.path() / kFactsName, facts.dump(1) + "\n");
  directory.commit();

  std::vector<int64_t> steps = steps_of(run);
  for (size_t i = 0; i + static_cast<size_t>(keep) < steps.size(); ++i) {
    if (steps[i] != keep_step) fs::remove_all(state_directory(run, steps[i]));
  }
}

std::optional<int64_t> latest_state(const fs::path& run) {
  const std::vector<int64_t> steps = steps_of(run);
  return steps.empty() ? std::nullopt : std::optional(steps.back());
}

TrainState load_state(const fs::path& run, int64_t step) {
  const fs::path directory = state_directory(run, step);
  TrainState state;
  state.step = step;
  const fs::path facts_file = directory / kFactsName;
  state.facts = parse_json(read_file(facts_file, 64 << 20), facts_file.string());
  const SafetensorsFile file(directory / kTensorsName);
  try {
    FT_REQUIRE(state.facts.at("step").get<int64_t>() == step, "{}: is of step {}", facts_file.string(), state.facts["step"].dump());
    const auto channels_last = state.facts.at("channels_last").get<std::vector<std::string>>();
    for (const TensorInfo& info : file.tensors()) {
      at::Tensor tensor = to_tensor(file, info);
      if (std::find(channels_last.begin(), channels_last.end(), info.name) != channels_last.end()) {
        FT_REQUIRE(tensor.dim() == 4, "{}: '{}' cannot be channels-last", facts_file.string(), info.name);
        tensor = tensor.contiguous(at::MemoryFormat::ChannelsLast);
      }
      state.tensors.emplace_back(info.name, tensor);
    }
  } catch (const Json::exception& error) {
    FT_FAIL(ExitCode::kInput, "{}: not what a run writes: {}", facts_file.string(), error.what());
  }
  return state;
}

void remove_states(const fs::path& run) { fs::remove_all(run / kStateName); }

}  // namespace fettle
