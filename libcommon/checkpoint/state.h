#pragma once
// The full state of a run, complete or absent: `state/step-XXXXXXXX/` holds tensors.safetensors and state.json, is made as a
// sibling temporary, synced and renamed. Tensors keep their memory format: LibTorch's fused optimisers give wrong numbers,
// without an error, when a weight and its momentum differ in it.

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "checkpoint/tensors.h"

namespace fettle {

using Json = nlohmann::json;

struct TrainState {
  int64_t step = 0;      // optimiser steps done
  NamedTensors tensors;  // "model/conv1.weight", "momentum/0", ...
  Json facts = Json::object();
};

// Writes `run/state/step-XXXXXXXX`, then removes all but the last `keep` states and `keep_step`.
void save_state(const std::filesystem::path& run, const TrainState& state, int keep, std::optional<int64_t> keep_step);

// The step of the latest complete state, or nothing.
std::optional<int64_t> latest_state(const std::filesystem::path& run);

// Error(kInput) when it is damaged.
TrainState load_state(const std::filesystem::path& run, int64_t step);

// Takes all states away: the run is complete.
void remove_states(const std::filesystem::path& run);

}  // namespace fettle
