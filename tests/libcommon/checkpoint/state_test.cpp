#include "checkpoint/state.h"

#include <ATen/ATen.h>

#include <catch2/catch.hpp>

#include <fstream>

#include "tests/support/expect_error.h"
#include "tests/support/temp_dir.h"

using namespace fettle;
using fettle::test::expect_error;
namespace fs = std::filesystem;

namespace {

TrainState state_at(int64_t step) {
  TrainState state;
  state.step = step;
  state.tensors = {{"model/conv", at::randn({4, 3, 3, 3}).contiguous(at::MemoryFormat::ChannelsLast)},
                   {"model/pointwise", at::randn({4, 3, 1, 1}).contiguous(at::MemoryFormat::ChannelsLast)},
                   {"model/fc", at::randn({2, 5}).to(at::kBFloat16)},
                   {"model/count", at::tensor(7, at::kLong)},
                   {"model/empty", at::zeros({0, 3})}};
  state.facts = {{"epoch", 3}};
  return state;
}

int64_t count_states(const fs::path& run) { return std::distance(fs::directory_iterator(run / "state"), fs::directory_iterator()); }

}  // namespace

TEST_CASE("state: tensors come back with values, types and memory formats") {
  const test::TempDir dir;
  const TrainState saved = state_at(12);
  save_state(dir.path(), saved, 2, std::nullopt);
  CHECK(latest_state(dir.path()) == 12);
  const TrainState loaded = load_state(dir.path(), 12);
  REQUIRE(loaded.tensors.size() == saved.tensors.size());
  for (const auto& [name, tensor] : saved.tensors) {
    const auto found = std::find_if(loaded.tensors.begin(), loaded.tensors.end(), [&, n = name](const auto& entry) { return entry.first == n; });
    REQUIRE(found != loaded.tensors.end());
    CHECK(found->second.scalar_type() == tensor.scalar_type());
    CHECK(at::equal(found->second, tensor));
    if (name == "model/conv") CHECK(found->second.strides() == tensor.strides());
  }
  CHECK(loaded.facts["epoch"] == 3);
}

TEST_CASE("state: the last two and the best are kept") {
  const test::TempDir dir;
  for (const int64_t step : {10, 20, 30, 40}) save_state(dir.path(), state_at(step), 2, 20);
  CHECK(count_states(dir.path()) == 3);
  for (const int64_t step : {20, 30, 40}) CHECK_NOTHROW(load_state(dir.path(), step));
  remove_states(dir.path());
  CHECK_FALSE(latest_state(dir.path()).has_value());
}

TEST_CASE("state: temporaries and strange names are no states; a damaged one is refused") {
  const test::TempDir dir;
  fs::create_directories(dir / "state/.step-00000099.tmp-abcdef");
  fs::create_directories(dir / "state/step-x");
  CHECK_FALSE(latest_state(dir.path()).has_value());
  save_state(dir.path(), state_at(5), 2, std::nullopt);
  CHECK(latest_state(dir.path()) == 5);
  const fs::path tensors = dir / "state/step-00000005/tensors.safetensors";
  fs::resize_file(tensors, fs::file_size(tensors) - 1);
  expect_error(ExitCode::kInput, "tensors.safetensors", [&] { load_state(dir.path(), 5); });
  save_state(dir.path(), state_at(6), 2, std::nullopt);
  test::write_text(dir / "state/step-00000006/state.json", "{}");
  expect_error(ExitCode::kInput, "state.json", [&] { load_state(dir.path(), 6); });
}
