#pragma once
// kernels/norm_act on tensors: batch normalisation, residual and activation in one operator with a gradient.

#include <ATen/core/Tensor.h>

#include "dist/process_group.h"
#include "kernels/norm_act/norm_act.h"

namespace fettle::ops {

struct NormAct {
  bool batch_statistics = true;  // of the batch, which also moves the running ones; otherwise the running ones alone
  double momentum = 0.1;         // weight of the batch in the running statistics
  double eps = 1e-5;
  kernels::NormActivation activation = kernels::NormActivation::kNone;
  const ProcessGroup* group = nullptr;  // whose batches together are the batch; outlives the backward pass
};

// Whether norm_act takes these: x is [B, C, H, W] on the CPU, channels-last, fp32, bf16 or fp64; a residual is like x in all of it
// and goes with every activation but Hardswish.
bool norm_act_takes(const at::Tensor& x, const at::Tensor& residual, kernels::NormActivation activation);

// activation(norm(x) * weight + bias + residual), like x. weight, bias, running_mean, running_var: [C] fp32, fp64 where x is; the running
// variance is the unbiased one. An undefined residual is none. First derivatives only. What it does not take is a bug of the caller
// (code 70), as are batch statistics of a single row.
at::Tensor norm_act(const NormAct& settings, const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, const at::Tensor& running_mean,
                    const at::Tensor& running_var, const at::Tensor& residual = {});

}  // namespace fettle::ops
