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

// A run of `count` values whose channels follow each other with period `period` (1..16), starting with channel 0:
//   out[i] = in[i] * scale[i % period] + bias[i % period]
using ConvertRun = void (*)(const uint8_t* in, int64_t count, int period, const float* scale, const float* bias, void* out);

struct ConvertVariant {
  ConvertRun to_f32;
  ConvertRun to_bf16;
};
ConvertVariant batch_finish_baseline();
ConvertVariant batch_finish_avx2();
ConvertVariant batch_finish_avx512();

// Runs prepared arguments on the CPU with one instruction set, which the CPU must have.
void batch_finish_cpu(const BatchFinishArgs& args, const ScaleBias& affine, Isa isa);

}  // namespace fettle::kernels
