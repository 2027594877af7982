#include "bytes/byte_transforms.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <numeric>

#include "tests/support/expect_error.h"
#include "tests/support/temp_dir.h"

using namespace fettle;
using namespace fettle::byteformer;
using fettle::test::expect_error;

namespace {

using Bytes = std::vector<uint8_t>;

Bytes iota(size_t size) {
  Bytes bytes(size);
  std::iota(bytes.begin(), bytes.end(), uint8_t{0});
  return bytes;
}

Bytes transformed(const ByteTransforms& transforms, Bytes bytes, const SampleKey& key = {}) {
  ByteTransformer(transforms).apply(bytes, key, "sample");
  return bytes;
}

Bytes sorted(Bytes bytes) {
  std::sort(bytes.begin(), bytes.end());
  return bytes;
}

ByteTransforms reordered(const Reorder& reorder) { return {.reorder = reorder}; }

std::span<const uint8_t> span_of(const std::string& text) { return {reinterpret_cast<const uint8_t*>(text.data()), text.size()}; }

}  // namespace

TEST_CASE("byte transforms: orders by hand") {
  CHECK(transformed(reordered({.order = Order::kReverse}), {1, 2, 3}) == Bytes{3, 2, 1});
  CHECK(transformed(reordered({.order = Order::kCyclicHalfLength}), {1, 2, 3, 4, 5}) == Bytes{4, 5, 1, 2, 3});
  CHECK(transformed(reordered({.order = Order::kStride, .stride = 3}), {0, 1, 2, 3, 4, 5, 6, 7}) == Bytes{0, 3, 6, 1, 4, 7, 2, 5});
  CHECK(transformed(reordered({.order = Order::kStride, .stride = 100}), {7, 8, 9}) == Bytes{7, 8, 9});
  const std::vector<int32_t> permutation{2, 0, 1};
  Bytes out(7);
  shuffle_windows(iota(7), permutation, out.data());
  CHECK(out == Bytes{2, 0, 1, 5, 3, 4, 6});
}

TEST_CASE("byte transforms: every order keeps all bytes, at lengths about the stride and the window") {
  for (const Order order : {Order::kReverse, Order::kCyclicHalfLength, Order::kStride, Order::kWindowShuffle, Order::kRandomShuffle}) {
    for (const size_t size : {0, 1, 2, 15, 16, 17, 31, 32, 33, 1000}) {
      INFO(order_name(order) << ", " << size);
      CHECK(sorted(transformed(reordered({.order = order, .stride = 16, .window = 16}), iota(size), {.seed = 3})) == sorted(iota(size)));
    }
  }
}

TEST_CASE("byte transforms: windows share one permutation, of all runs or drawn for the batch") {
  const Reorder fixed{.order = Order::kWindowShuffle, .window = 50}, redrawn{.order = Order::kWindowShuffle, .window = 50, .redraw_each_batch = true};
  const Bytes in = iota(220);
  const Bytes first = transformed(reordered(fixed), in, {.seed = 1});
  for (size_t i = 0; i < 50; ++i) {
    for (size_t w = 1; w < 4; ++w) CHECK(first[50 * w + i] == first[i] + 50 * w);
  }
  for (size_t i = 200; i < 220; ++i) CHECK(first[i] == in[i]);
  CHECK(first != in);
  CHECK(transformed(reordered(fixed), in, {.seed = 1, .epoch = 4, .batch = 5, .sample = 6}) == first);
  CHECK(transformed(reordered(fixed), in, {.seed = 2}) == first);  // an artifact that classifies has another seed than its training
  const Bytes batch = transformed(reordered(redrawn), in, {.seed = 1, .batch = 5, .sample = 1});
  CHECK(transformed(reordered(redrawn), in, {.seed = 1, .batch = 5, .sample = 2}) == batch);
  CHECK(transformed(reordered(redrawn), in, {.seed = 1, .batch = 6, .sample = 1}) != batch);
  CHECK(transformed(reordered(redrawn), in, {.seed = 1, .epoch = 1, .batch = 5, .sample = 1}) != batch);
  // A transformer that has been elsewhere.
  for (const Reorder& reorder : {fixed, redrawn}) {
    ByteTransformer used(reordered(reorder));
    for (const SampleKey& key : {SampleKey{.seed = 1, .batch = 4}, SampleKey{.seed = 1, .batch = 5}, SampleKey{.seed = 2, .batch = 5}, SampleKey{.seed = 2, .epoch = 1, .batch = 5}}) {
      Bytes bytes = in;
      used.apply(bytes, key, "sample");
      CHECK(bytes == transformed(reordered(reorder), in, key));
    }
  }
}

TEST_CASE("byte transforms: source positions are where bytes come from, whatever is done to their values") {
  for (const Order order : {Order::kReverse, Order::kCyclicHalfLength, Order::kStride, Order::kWindowShuffle, Order::kRandomShuffle}) {
    for (const bool keeps : {false, true}) {
      for (const size_t size : {0, 1, 2, 255, 256, 257, 70'000}) {
        INFO(order_name(order) << ", " << size << (keeps ? ", a share of them" : ""));
        ByteTransforms transforms{.reorder = Reorder{.order = order, .stride = 7, .window = 50, .redraw_each_batch = true}, .phi = reference_phi()};
        if (keeps) transforms.keep = Keep{.fraction = 0.3};
        Bytes in(size);
        for (size_t i = 0; i < size; ++i) in[i] = static_cast<uint8_t>(i * i / 3 + i / 256);
        const SampleKey key{.seed = 4, .epoch = 1, .batch = 2, .sample = 3};
        Bytes expected;
        for (const int64_t position : ByteTransformer(transforms).source_positions(static_cast<int64_t>(size), key, "sample")) expected.push_back((*transforms.phi)[in.at(static_cast<size_t>(position))]);
        CHECK(transformed(transforms, in, key) == expected);
      }
    }
  }
  const std::vector<int64_t> nothing_moves = ByteTransformer({.noise = Noise{-5, 5}}).source_positions(300, {}, "sample");
  for (size_t i = 0; i < 300; ++i) CHECK(nothing_moves.at(i) == static_cast<int64_t>(i));
}

TEST_CASE("byte transforms: a random shuffle and noise belong to the sample and the epoch, whatever went before") {
  for (const ByteTransforms& transforms : {reordered({.order = Order::kRandomShuffle}), ByteTransforms{.noise = Noise{-20, 20}}}) {
    const Bytes in = iota(300);
    const SampleKey key{.seed = 1, .epoch = 2, .batch = 3, .sample = 4};
    const Bytes expected = transformed(transforms, in, key);
    ByteTransformer used(transforms);
    Bytes other = iota(77);
    used.apply(other, {.seed = 1, .epoch = 2, .batch = 3, .sample = 5}, "other");
    Bytes bytes = in;
    used.apply(bytes, key, "sample");
    CHECK(bytes == expected);
    CHECK(transformed(transforms, in, {.seed = 1, .epoch = 2, .batch = 99, .sample = 4}) == expected);
    CHECK(transformed(transforms, in, {.seed = 1, .epoch = 2, .batch = 3, .sample = 5}) != expected);
    CHECK(transformed(transforms, in, {.seed = 1, .epoch = 3, .batch = 3, .sample = 4}) != expected);
    CHECK(transformed(transforms, in, {.seed = 2, .epoch = 2, .batch = 3, .sample = 4}) != expected);
  }
}

TEST_CASE("byte transforms: noise is uniform over its range and wraps around") {
  for (const auto& [lo, hi] : {std::pair{-5, 5}, {0, 0}, {7, 7}, {-255, 255}, {-1, 254}, {-128, 127}}) {
    INFO(lo << ".." << hi);
    constexpr size_t kCount = 200'000;
    const Bytes out = transformed({.noise = Noise{lo, hi}}, Bytes(kCount, 250), {.seed = 9});
    std::map<int, int64_t> expected_ways, found;
    for (int n = lo; n <= hi; ++n) ++expected_ways[(250 + n) & 255];
    for (const uint8_t byte : out) ++found[byte];
    double chi2 = 0;
    for (const auto& [value, count] : found) REQUIRE(expected_ways.contains(value));
    for (const auto& [value, ways] : expected_ways) {
      const double expected = static_cast<double>(kCount) * static_cast<double>(ways) / (hi - lo + 1);
      chi2 += std::pow(static_cast<double>(found[value]) - expected, 2) / expected;
    }
    const double freedom = static_cast<double>(expected_ways.size()) - 1;
    CHECK(chi2 <= freedom + 5 * std::sqrt(2 * freedom));  // five standard deviations; the seed is fixed
  }
}

TEST_CASE("byte transforms: drawn shuffles are uniform") {
  // How often byte i of five lands at place j.
  std::array<std::array<double, 5>, 5> found{};
  constexpr int kTimes = 20'000;
  for (int t = 0; t < kTimes; ++t) {
    const Bytes out = transformed(reordered({.order = Order::kRandomShuffle}), iota(5), {.seed = 1, .sample = t});
    for (size_t j = 0; j < 5; ++j) ++found[out[j]][j];
  }
  double chi2 = 0;
  for (const auto& row : found) {
    for (const double count : row) chi2 += std::pow(count - kTimes / 5.0, 2) / (kTimes / 5.0);
  }
  CHECK(chi2 < 16 + 5 * std::sqrt(32));  // 16 degrees of freedom, five standard deviations; the seed is fixed
}

TEST_CASE("byte transforms: noise that is given is added modulo 256") {
  Bytes bytes{0, 255, 10, 200};
  add_noise(bytes, std::vector<int16_t>{-1, 1, -255, 255});
  CHECK(bytes == Bytes{255, 0, 11, 199});
}

TEST_CASE("byte transforms: phi and masks are those of PyTorch's generator") {
  const ByteTable phi = reference_phi();
  CHECK(Bytes(phi.begin(), phi.begin() + 8) == Bytes{239, 90, 81, 175, 9, 100, 40, 32});
  CHECK(Bytes(phi.end() - 4, phi.end()) == Bytes{86, 120, 186, 60});
  const std::vector<int32_t> kept = kept_positions({.fraction = 0.1}, 150528);
  CHECK(kept.size() == 15052);
  CHECK(std::vector<int32_t>(kept.begin(), kept.begin() + 8) == std::vector<int32_t>{3, 19, 48, 63, 76, 83, 106, 110});
  CHECK(torch_permutation(0, 1).empty());
  CHECK(torch_permutation(1, 1) == std::vector<int32_t>{0});
  // torch.manual_seed(7); torch.randperm(10)
  CHECK(torch_permutation(10, 7) == std::vector<int32_t>{5, 0, 3, 4, 1, 7, 9, 6, 8, 2});
  expect_error(ExitCode::kInput, "cannot permute", [] { torch_permutation((int64_t{1} << 27) + 1, 1); });
}

TEST_CASE("byte transforms: a mask is for one length, or each length has its own") {
  ByteTransformer one({.keep = Keep{.fraction = 0.5, .length = 10}});
  Bytes bytes = iota(10);
  one.apply(bytes, {}, "a");
  CHECK(bytes.size() == 5);
  CHECK(std::is_sorted(bytes.begin(), bytes.end()));
  bytes = iota(11);
  expect_error(ExitCode::kInput, "'x.jpg' has 11 bytes, and the mask of kept positions is for 10", [&] { one.apply(bytes, {}, "'x.jpg'"); });

  ByteTransformer each({.keep = Keep{.fraction = 0.3}});
  std::map<size_t, Bytes> first;
  for (const size_t size : {10, 11, 10, 0, 1, 300, 11}) {
    bytes = iota(size);
    each.apply(bytes, {}, "a");
    CHECK(static_cast<int64_t>(bytes.size()) == each.output_length(static_cast<int64_t>(size)));
    CHECK(bytes.size() == static_cast<size_t>(0.3 * static_cast<double>(size)));
    if (!first.contains(size)) first[size] = bytes;
    CHECK(bytes == first[size]);
  }
  CHECK(transformed({.keep = Keep{.fraction = 1}}, iota(100)) == iota(100));
  CHECK(transformed({.keep = Keep{.fraction = 0.3, .seed = 5}}, iota(300)) != first[300]);
}

TEST_CASE("byte transforms: parts act in their order: reorder, keep, noise, phi") {
  const ByteTransforms all{.reorder = Reorder{.order = Order::kReverse}, .keep = Keep{.fraction = 0.5}, .noise = Noise{3, 9}, .phi = reference_phi()};
  const SampleKey key{.seed = 5, .epoch = 1, .batch = 2, .sample = 3};
  Bytes bytes = iota(200);
  for (const ByteTransforms& part : {ByteTransforms{.reorder = all.reorder}, ByteTransforms{.keep = all.keep}, ByteTransforms{.noise = all.noise}, ByteTransforms{.phi = all.phi}}) {
    bytes = transformed(part, bytes, key);
  }
  CHECK(transformed(all, iota(200), key) == bytes);
  CHECK(bytes.size() == 100);
  CHECK(transformed({}, iota(9)) == iota(9));
}

TEST_CASE("byte transforms: options go to JSON and back") {
  const ByteTransforms some[] = {
      {},
      reordered({.order = Order::kReverse}),
      reordered({.order = Order::kStride, .stride = 7}),
      reordered({.order = Order::kWindowShuffle, .window = 12, .redraw_each_batch = true}),
      {.reorder = Reorder{.order = Order::kRandomShuffle}, .keep = Keep{.fraction = 0.1, .seed = 4294967295, .length = 150528}, .noise = Noise{-20, 20}, .phi = reference_phi()},
  };
  for (const ByteTransforms& transforms : some) {
    const Json json = to_json(transforms);
    CHECK(transforms_from_json(Json::parse(json.dump()), "x") == transforms);
  }
  CHECK(to_json(some[0]) == Json::object());
  CHECK(to_json(some[2]) == Json{{"reorder", {{"order", "stride"}, {"stride", 7}}}});
}

TEST_CASE("byte transforms: what is wrong in JSON is named") {
  const auto refused = [](const std::string& part, const std::string& text) { expect_error(ExitCode::kInput, part, [&] { transforms_from_json(Json::parse(text), "bytes"); }); };
  refused("bytes: expected a JSON object, found '[]'", "[]");
  refused("bytes: unknown key 'shuffle'", R"({"shuffle": 1})");
  refused("bytes.reorder: order is 'null', expected one of reverse, cyclic-half-length", R"({"reorder": {"order": null}})");
  refused("bytes.reorder: no 'order'", R"({"reorder": {}})");
  refused("bytes.reorder: 'stride' is no setting of order 'reverse'", R"({"reorder": {"order": "reverse", "stride": 3}})");
  refused("bytes.reorder: stride is '0', expected 1 to", R"({"reorder": {"order": "stride", "stride": 0}})");
  refused("bytes.reorder: redraw_each_batch is '1', expected true or false", R"({"reorder": {"order": "window-shuffle", "redraw_each_batch": 1}})");
  refused("bytes: a kept fraction of 0", R"({"keep": {"fraction": 0, "seed": 1}})");
  refused("bytes.keep: fraction is '\"half\"', expected a number", R"({"keep": {"fraction": "half", "seed": 1}})");
  refused("bytes.keep: seed is '-1'", R"({"keep": {"fraction": 0.5, "seed": -1}})");
  refused("bytes.keep: seed is '18446744073709551615'", R"({"keep": {"fraction": 0.5, "seed": 18446744073709551615}})");
  refused("bytes: noise of 5..-5", R"({"noise": {"lo": 5, "hi": -5}})");
  refused("bytes.noise: hi is '256'", R"({"noise": {"lo": 5, "hi": 256}})");
  refused("bytes.phi: expected a permutation of 256 numbers, found 2", R"({"phi": [0, 1]})");
  refused("bytes.phi: expected a permutation of 0..255, found '\"a\"' at 1", R"({"phi": [0, "a"]})");
  expect_error(ExitCode::kUsage, "a kept fraction of nan", [] { validate({.keep = Keep{.fraction = std::nan("")}}); });
  expect_error(ExitCode::kUsage, "a window of 0 bytes", [] { ByteTransformer(reordered({.order = Order::kWindowShuffle, .window = 0})); });
}

TEST_CASE("byte transforms: phi comes as bytes, as text and as JSON") {
  const ByteTable phi = reference_phi();
  std::string plain, lines, json = Json(phi).dump();
  for (const uint8_t value : phi) {
    plain += static_cast<char>(value);
    lines += std::to_string(value) + (value % 7 == 0 ? "\r\n" : value % 7 == 1 ? ", " : " ");
  }
  CHECK(parse_phi(span_of(plain), "f") == phi);
  CHECK(parse_phi(span_of(lines), "f") == phi);
  CHECK(parse_phi(span_of(json), "f") == phi);
  CHECK(parse_phi(span_of(" " + json + "\n"), "f") == phi);
  const test::TempDir dir;
  test::write_text(dir / "phi.txt", lines);
  CHECK(read_phi(dir / "phi.txt") == phi);

  const auto refused = [](const std::string& part, const std::string& text) { expect_error(ExitCode::kInput, "f: " + part, [&] { parse_phi(span_of(text), "f"); }); };
  std::string twice = plain;
  twice[255] = twice[0];
  refused("expected a permutation of 0..255, found 239 at 0 and at 255", twice);
  refused("expected a permutation of 256 numbers, found 0", "");
  refused("expected a permutation of 256 numbers, found 255", lines.substr(0, lines.find_last_of("0123456789") - 1));
  refused("expected a permutation of 256 numbers, found 257", lines + " 3");
  refused("expected 256 bytes, or 256 numbers, found 'x' after 1 numbers", "12 x");
  refused("expected 256 bytes, or 256 numbers, found '99999999999999999999' after 0 numbers", "99999999999999999999");
  refused("the bracket is not closed", json.substr(0, json.size() - 1));
  refused("found ']' after the numbers", json + "]");
  refused("found ']' after the numbers", lines + "]");
  refused("expected a permutation of 0..255, found 256 at 1", "0 256 " + lines.substr(lines.find(' ', lines.find(' ') + 1)));
  expect_error(ExitCode::kInput, "phi", [&] { read_phi(dir / "no phi"); });
}
