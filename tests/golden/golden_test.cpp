// The golden framework on folders made up here: what runs, what is skipped and named, what fails.
#include "tests/golden/golden.h"

#include <catch2/catch.hpp>
#include <fmt/format.h>
#include <sys/wait.h>

#include <cstdio>
#include <cstring>

#include "tests/support/expect_error.h"
#include "tests/support/temp_dir.h"

using namespace fettle;
using nlohmann::json;

namespace {

struct Outcome {
  int status = -1;
  std::string output;
};

Outcome run_golden(const std::filesystem::path& folder) {
  const std::string command = fmt::format("FETTLE_GOLDEN='{}' '{}' 2>&1", folder.string(), FETTLE_TEST_GOLDEN);
  std::FILE* pipe = popen(command.c_str(), "r");
  REQUIRE(pipe != nullptr);
  Outcome outcome;
  char buffer[4096];
  for (size_t got; (got = std::fread(buffer, 1, sizeof buffer, pipe)) > 0;) outcome.output.append(buffer, got);
  const int status = pclose(pipe);
  outcome.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return outcome;
}

void write_case(const std::filesystem::path& directory, const std::string& text) {
  std::filesystem::create_directories(directory);
  test::write_text(directory / "case.json", text);
}

std::string rounding_case(int expected) {
  return json{{"kind", "sampling/candidates"},
              {"arguments", {{"sets", json::array()}, {"round_to_divisor", {{176, 32}}}}},
              {"tolerance", {{"law", 1e-12}}},
              {"expected", {{"image_sets", json::array()}, {"round_to_divisor", {{176, 32, expected}}}}}}
      .dump();
}

void has(const Outcome& outcome, const std::string& part) {
  INFO("status " << outcome.status << "\n" << outcome.output);
  CHECK(outcome.output.find(part) != std::string::npos);
}

template <typename T>
void write_tensor(SafetensorsWriter& writer, const std::vector<T>& values) {
  writer.write({reinterpret_cast<const uint8_t*>(values.data()), values.size() * sizeof(T)});
}

}  // namespace

TEST_CASE("golden: cases run at any depth and under any name; unknown kinds are skipped by name") {
  const test::TempDir dir;
  write_case(dir / "deep" / "er" / "no name, really", rounding_case(192));
  write_case(dir / "one", rounding_case(192));
  write_case(dir / "dance", R"({"kind": "dance/waltz"})");
  write_case(dir / "dance" / "inner", R"({"kind": "dance/waltz"})");
  write_case(dir / "film", R"({"kind": "sampling/video_sequence"})");
  const Outcome outcome = run_golden(dir.path());
  CHECK(outcome.status == 0);
  has(outcome, "golden sampling/candidates: 2 run, 0 skipped\n");
  has(outcome, "golden sampling/curriculum: 0 run, 0 skipped\n");
  has(outcome, "golden sampling/video_sequence: 0 run, 1 skipped\n");
  has(outcome, "golden skipped film: video samplers are not implemented\n");
  has(outcome, "golden dance/waltz: 0 run, 2 skipped\n");
  has(outcome, "golden skipped, unknown kind dance/waltz: dance, dance/inner\n");
}

TEST_CASE("golden: a wrong value fails, names its case, and the others still run") {
  const test::TempDir dir;
  write_case(dir / "a wrong one", rounding_case(160));
  write_case(dir / "b right one", rounding_case(192));
  const Outcome outcome = run_golden(dir.path());
  CHECK(outcome.status != 0);
  has(outcome, "a wrong one");
  has(outcome, "192 == 160");
  has(outcome, "golden sampling/candidates: 2 run, 0 skipped\n");
}

TEST_CASE("golden: a case.json that is no JSON object or names no kind fails with its path") {
  for (const std::string text : {"{\"kind\": \"sampling/", "[1, 2]", "{\"case\": \"x\"}", "{\"kind\": 3}", ""}) {
    INFO(text);
    const test::TempDir dir;
    write_case(dir / "broken", text);
    const Outcome outcome = run_golden(dir.path());
    CHECK(outcome.status != 0);
    has(outcome, (dir / "broken" / "case.json").string());
  }
}

TEST_CASE("golden: a case that lacks an argument or its tensors fails, one with an unknown argument is skipped") {
  const test::TempDir dir;
  write_case(dir / "empty", R"({"kind": "sampling/sequence"})");
  CHECK(run_golden(dir.path()).status != 0);
  write_case(dir / "empty", R"({"kind": "sampling/candidates", "arguments": {"moon": 1}, "expected": {}})");
  has(run_golden(dir.path()), "golden skipped empty: arguments.moon is not known\n");
  CHECK(run_golden(dir.path()).status == 0);
  json missing = json::parse(rounding_case(192));
  missing["tensors"] = {{{"name", "x"}}};
  write_case(dir / "empty", missing.dump());
  const Outcome outcome = run_golden(dir.path());
  CHECK(outcome.status != 0);
  has(outcome, "tensors.safetensors");
}

TEST_CASE("golden: without a folder everything is skipped and said so") {
  const test::TempDir dir;
  const Outcome outcome = run_golden(dir / "nowhere");
  CHECK(outcome.status == 0);
  has(outcome, "golden skipped, all: ");
  has(outcome, "golden sampling/sequence: 0 run, 0 skipped\n");
  CHECK(run_golden(dir.path()).status == 0);
}

TEST_CASE("golden: links to folders are followed, also in circles") {
  const test::TempDir cases;
  const test::TempDir links;
  write_case(cases / "one", rounding_case(192));
  std::filesystem::create_directory_symlink(cases.path(), links / "there");
  std::filesystem::create_directory_symlink(links.path(), cases / "back");
  const Outcome outcome = run_golden(links.path());
  CHECK(outcome.status == 0);
  has(outcome, "golden sampling/candidates: 1 run, 0 skipped\n");
}

TEST_CASE("golden: tensors read as numbers whatever their type") {
  const test::TempDir dir;
  const std::vector<TensorSpec> specs{{"i64", Dtype::kI64, {2}}, {"f64", Dtype::kF64, {1}}, {"f32", Dtype::kF32, {2}},
                                      {"i32", Dtype::kI32, {1}}, {"u16", Dtype::kU16, {1}}, {"f16", Dtype::kF16, {4}},
                                      {"bf16", Dtype::kBF16, {2}}, {"u8", Dtype::kU8, {2}}, {"i8", Dtype::kI8, {1}},
                                      {"bool", Dtype::kBool, {2}}};
  SafetensorsWriter writer(dir / "t.safetensors", specs, {});
  write_tensor<int64_t>(writer, {-3, int64_t{1} << 60});
  write_tensor<double>(writer, {0.1});
  write_tensor<float>(writer, {0.5f, -2.25f});
  write_tensor<int32_t>(writer, {-7});
  write_tensor<uint16_t>(writer, {65'535});
  write_tensor<uint16_t>(writer, {0x3C00, 0xC500, 0x0001, 0x7BFF});  // 1, -5, the smallest and the largest half
  write_tensor<uint16_t>(writer, {0x3FC0, 0xC000});                  // 1.5, -2
  write_tensor<uint8_t>(writer, {0, 255});
  write_tensor<int8_t>(writer, {-128});
  write_tensor<uint8_t>(writer, {0, 1});
  writer.commit();
  const SafetensorsFile file(dir / "t.safetensors");
  const golden::Case test{dir.path(), json::object(), file};
  CHECK(golden::read_integers(test, "i64") == std::vector<int64_t>{-3, int64_t{1} << 60});
  CHECK(golden::read_integers(test, "i32") == std::vector<int64_t>{-7});
  CHECK(golden::read_integers(test, "u16") == std::vector<int64_t>{65'535});
  CHECK(golden::read_integers(test, "u8") == std::vector<int64_t>{0, 255});
  CHECK(golden::read_integers(test, "i8") == std::vector<int64_t>{-128});
  CHECK(golden::read_integers(test, "bool") == std::vector<int64_t>{0, 1});
  CHECK(golden::read_doubles(test, "i32") == std::vector<double>{-7});
  CHECK(golden::read_doubles(test, "f64") == std::vector<double>{0.1});
  CHECK(golden::read_doubles(test, "f32") == std::vector<double>{0.5, -2.25});
  CHECK(golden::read_doubles(test, "f16") == std::vector<double>{1, -5, 0x1p-24, 65504});
  CHECK(golden::read_doubles(test, "bf16") == std::vector<double>{1.5, -2});
  test::expect_error(ExitCode::kInput, "tensor 'f32' is F32, expected integers", [&] { golden::read_integers(test, "f32"); });
  test::expect_error(ExitCode::kInput, "no tensor 'none'", [&] { golden::read_doubles(test, "none"); });
}
