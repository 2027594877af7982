#include "dist/gradient_reducer.h"

#include <ATen/ATen.h>
#include <torch/csrc/distributed/c10d/reducer.hpp>

#include <algorithm>

#include "dist/process_group_impl.h"

namespace fettle {
namespace {

// The reducer warns of kernels of one pixel or one channel, whose strides can be written in two ways that mean the same.
class WithoutStrideWarning : public c10::WarningHandler {
 public:
  void process(const c10::Warning& warning) override {
    if (warning.msg().find("Grad strides do not match bucket view strides") == std::string::npos) c10::WarningHandler::process(warning);
  }
};

}  // namespace

struct GradientReducer::Impl {
  std::shared_ptr<c10d::Reducer> reducer;  // its hooks hold a weak pointer
};

GradientReducer::GradientReducer(const std::vector<at::Tensor>& parameters, const ProcessGroup& group) {
  if (group.size() == 1) return;
  impl_ = std::make_unique<Impl>();
  const std::vector<bool> dense(parameters.size(), false);
  // The first bucket is small, so that its sum begins early in the backward pass; it is made of the last parameters.
  const std::vector<size_t> limits = {c10d::kDefaultFirstBucketBytes, c10d::kDefaultBucketBytesCap};
  auto [buckets, ignored] = c10d::compute_bucket_assignment_by_size(parameters, limits, dense);
  std::reverse(buckets.begin(), buckets.end());
  impl_->reducer = std::make_shared<c10d::Reducer>(parameters, std::move(buckets), group.impl_->gradients, dense, c10d::kDefaultBucketBytesCap,
                                                   /*find_unused_parameters=*/false, /*gradient_as_bucket_view=*/false, std::unordered_map<size_t, std::string>{},
                                                   c10d::kDefaultFirstBucketBytes, /*skip_all_reduce_unused_params=*/false, /*use_python_reducer=*/false, std::vector<int64_t>{});
}

GradientReducer::~GradientReducer() = default;

void GradientReducer::backward(const at::Tensor& loss, bool average) {
  if (!impl_) return loss.backward();
  WithoutStrideWarning handler;
  const c10::WarningUtils::WarningHandlerGuard guard(&handler);
  if (average) impl_->reducer->prepare_for_backward({});
  try {
    loss.backward();
  } catch (const LostProcess&) {
    throw;
  } catch (const std::exception& error) {
    throw_if_lost(error);
    throw;
  }
}

}  // namespace fettle
