#pragma once
// Pictures in golden cases.

#include <cstdint>
#include <string>
#include <vector>

#include "augment/pixel_ops.h"
#include "tests/golden/golden.h"

namespace fettle::golden {

struct Picture {
  PixelShape shape;
  std::vector<uint8_t> pixels;  // [H, W, C]
};

// A u8 tensor [C, H, W], or [H, W, C] where the case stores it so.
Picture read_picture(const Case& test, const std::string& name, bool channels_last = false);

Picture blank(const PixelShape& shape);

// At most `share_differing` of the values differ at all, at most `share_beyond` by more than `atol`.
void check_picture(const Picture& found, const Picture& expected, double atol, double share_differing, double share_beyond);

// Checks one operation of a case with the tolerance that it states, against `<name>.pil` where the case has both forms.
void check_operation(const Case& test, const nlohmann::json& op, const Picture& found);

// Names what a case holds and nobody here computes.
void report_unchecked(const Case& test, const std::vector<std::string>& operations);

}  // namespace fettle::golden
