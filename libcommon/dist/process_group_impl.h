#pragma once
// Inside dist only: LibTorch's side of a process group.

#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/Store.hpp>

#include "dist/process_group.h"

namespace fettle {

struct ProcessGroup::Impl {
  c10::intrusive_ptr<c10d::Store> store;
  std::chrono::milliseconds timeout;
  // Apart, so that a sum between buckets of gradients cannot be taken for one of theirs.
  c10::intrusive_ptr<c10d::ProcessGroup> control, gradients;
};

// Throws LostProcess for an exception that says that a connection broke or nobody answered: Gloo's have no type of their own.
void throw_if_lost(const std::exception& error);

}  // namespace fettle
