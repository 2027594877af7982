#include "dataset/prefetch_queue.h"

#include <chrono>
#include <system_error>
#include <utility>

#include "base/errors.h"

namespace fettle {

PrefetchQueue::PrefetchQueue(int num_threads, int num_slots, int64_t first_job, int64_t num_jobs, Prepare prepare)
    : first_job_(first_job),
      end_job_(first_job + num_jobs),
      prepare_(std::move(prepare)),
      next_job_(first_job),
      done_job_(first_job),
      wanted_job_(first_job) {
  FT_CHECK(num_threads >= 0 && num_slots >= 1 && num_jobs >= 0, "{} threads, {} slots, {} jobs", num_threads, num_slots, num_jobs);
  slots_.resize(static_cast<size_t>(num_slots));
  try {
    for (int i = 0; i < num_threads; ++i) threads_.emplace_back([this] { work(); });
  } catch (const std::system_error& error) {
    stop();
    throw Error(ExitCode::kMachine, fmt::format("cannot start {} loader threads: {}", num_threads, error.what()));
  }
}

PrefetchQueue::~PrefetchQueue() { stop(); }

void PrefetchQueue::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  job_free_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void PrefetchQueue::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    job_free_.wait(lock, [&] { return stopping_ || next_job_ == end_job_ || next_job_ < done_job_ + static_cast<int64_t>(slots_.size()); });
    if (stopping_ || next_job_ == end_job_) return;
    const int64_t job = next_job_++;
    const auto index = static_cast<size_t>(job - first_job_) % slots_.size();
    lock.unlock();
    std::exception_ptr error;
    try {
      prepare_(job, index);
    } catch (...) {
      error = std::current_exception();
    }
    lock.lock();
    slots_[index] = {true, std::move(error)};
    job_ready_.notify_one();
  }
}

std::optional<size_t> PrefetchQueue::next() {
  release();
  if (wanted_job_ == end_job_) return std::nullopt;
  const auto began = std::chrono::steady_clock::now();
  const int64_t job = wanted_job_++;
  const auto index = static_cast<size_t>(job - first_job_) % slots_.size();
  holding_ = true;
  std::exception_ptr error;
  if (threads_.empty()) {
    try {
      prepare_(job, index);
    } catch (...) {
      error = std::current_exception();
    }
  } else {
    std::unique_lock lock(mutex_);
    job_ready_.wait(lock, [&] { return slots_[index].ready; });
    error = std::exchange(slots_[index].error, nullptr);
    slots_[index].ready = false;
  }
  wait_seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  if (error) std::rethrow_exception(std::move(error));
  return index;
}

void PrefetchQueue::release() {
  if (!holding_) return;
  holding_ = false;
  {
    const std::lock_guard lock(mutex_);
    ++done_job_;
  }
  job_free_.notify_one();
}

}  // namespace fettle
