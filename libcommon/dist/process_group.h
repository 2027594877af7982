#pragma once
// The processes of a run (c10d with Gloo): sums, texts, and what becomes of the others when one ends. A group of one does nothing at all.
// All processes call the same functions in the same order; sums are the same to the bit on every rank and from run to run.

#include <ATen/core/Tensor.h>

#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/errors.h"
#include "base/launch.h"

namespace fettle {

// Another process ended, does not answer, or left first because of an error of its own, which what() then quotes. Code 4.
class LostProcess : public Error {
 public:
  using Error::Error;
};

class ProcessGroup {
 public:
  ProcessGroup();  // this process alone

  // Waits for all processes of the launch, at most `timeout_s`, which is also the longest that any later call waits for the others.
  // Error(kMachine) when they do not come. A launch of one process opens nothing.
  ProcessGroup(const Launch& launch, double timeout_s);
  ~ProcessGroup();
  ProcessGroup(const ProcessGroup&) = delete;
  ProcessGroup& operator=(const ProcessGroup&) = delete;

  int rank() const { return rank_; }
  int size() const { return size_; }
  bool is_first() const { return rank_ == 0; }

  void sum(at::Tensor tensor) const;            // over the ranks, in place; contiguous; CPU
  std::vector<double> sum(std::vector<double> numbers) const;
  bool any(bool flag) const;                    // of some rank
  void broadcast(at::Tensor tensor) const;      // rank 0's, in place; CPU
  std::string broadcast(const std::string& text) const;            // rank 0's
  std::vector<std::string> gather(const std::string& text) const;  // by rank, on every rank

  // Runs this process's part. What it throws is left for the others to quote; when it fails because another one is gone, LostProcess with
  // that one's reason is thrown instead.
  void together(const std::function<void()>& part) const;

 private:
  friend class GradientReducer;
  struct Impl;

  int rank_ = 0, size_ = 1;
  std::unique_ptr<Impl> impl_;  // none in a group of one
};

// Every group.size()-th of them, from the rank-th on.
template <class T>
std::vector<T> share_of(const std::vector<T>& all, const ProcessGroup& group) {
  std::vector<T> own;
  for (auto i = static_cast<size_t>(group.rank()); i < all.size(); i += static_cast<size_t>(group.size())) own.push_back(all[i]);
  return own;
}

}  // namespace fettle
