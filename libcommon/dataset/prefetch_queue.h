#pragma once
// The loader's threads and order, without the slots' type: see prefetcher.h.

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

namespace fettle {

// Job j is prepared in slot (j - first_job) % num_slots, as soon as the consumer is done with that slot's last job.
class PrefetchQueue {
 public:
  using Prepare = std::function<void(int64_t job, size_t slot)>;

  PrefetchQueue(int num_threads, int num_slots, int64_t first_job, int64_t num_jobs, Prepare prepare);
  ~PrefetchQueue();
  PrefetchQueue(const PrefetchQueue&) = delete;
  PrefetchQueue& operator=(const PrefetchQueue&) = delete;

  std::optional<size_t> next();
  void release();
  double wait_seconds() const { return wait_seconds_; }

 private:
  void work();
  void stop();

  struct Slot {
    bool ready = false;
    std::exception_ptr error;
  };

  const int64_t first_job_;
  const int64_t end_job_;
  const Prepare prepare_;

  // Guarded by mutex_.
  std::mutex mutex_;
  std::condition_variable job_free_;   // for the threads
  std::condition_variable job_ready_;  // for the consumer
  std::vector<Slot> slots_;
  int64_t next_job_;   // the first that no thread has taken
  int64_t done_job_;   // the first whose slot the consumer has not given back
  bool stopping_ = false;

  // The consumer's own.
  int64_t wanted_job_;
  bool holding_ = false;
  double wait_seconds_ = 0;

  std::vector<std::thread> threads_;
};

}  // namespace fettle
