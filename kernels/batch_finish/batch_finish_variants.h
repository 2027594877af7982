#pragma once
// What lies between the dispatch of batch_finish and its variants; tests and the benchmark come in here to name one.

#include "kernels/batch_finish/batch_finish.h"
#include "kernels/support/isa.h"

namespace fettle::kernels {

struct ScaleBias {
  float scale[kBatchFinishMaxChannels];
  float bias[kBatchFinishMaxChannels];
};

// Checks everything that the header promises and fills `affine`.
Status batch_finish_prepare(const BatchFinishArgs& args, ScaleBias* affine);

// Rows [first_row, last_row) of the B * H rows, on the calling thread; the arguments are prepared and not empty.
using FinishRows = void (*)(const BatchFinishArgs& args, const ScaleBias& affine, int64_t first_row, int64_t last_row);

struct FinishVariant {
  FinishRows to_f32;
  FinishRows to_bf16;
};
FinishVariant batch_finish_baseline();
FinishVariant batch_finish_avx2();
FinishVariant batch_finish_avx512();

// Runs prepared arguments on the CPU with one instruction set, which the CPU must have.
void batch_finish_cpu(const BatchFinishArgs& args, const ScaleBias& affine, Isa isa);

}  // namespace fettle::kernels
