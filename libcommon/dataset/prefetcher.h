#pragma once
// Prepares jobs ahead on threads of its own and hands them out in order: the part of a data loader that knows nothing of
// data. A Slot is what `prepare` fills (a batch's buffers): num_slots of them are made once and reused, so that their
// allocations last. Slots are not cleared in between.
//
//   Prefetcher<Batch> batches(4, 8, 0, steps, [&](int64_t step, Batch& batch) { fill(batch, step); });
//   while (Batch* batch = batches.next()) train(*batch);
//
// One consumer: next(), release() and wait_seconds() belong to one thread. `prepare` runs on several threads at once, each
// with a job and a slot of its own. What it throws is thrown by next() at that job's turn, never earlier; the call after
// that goes on with the job behind it. The destructor starts no further job, waits for those that run and joins, whatever
// has been consumed: it takes as long as one `prepare`.

#include <cstdint>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "dataset/prefetch_queue.h"

namespace fettle {

template <class Slot>
class Prefetcher {
 public:
  using Prepare = std::function<void(int64_t job, Slot& slot)>;

  // Jobs first_job .. first_job + num_jobs - 1. num_threads 0: next() prepares by itself, when asked. num_slots >= 1; with
  // one more than there are threads, no thread waits for the slot that the consumer holds.
  Prefetcher(int num_threads, int num_slots, int64_t first_job, int64_t num_jobs, Prepare prepare)
      : slots_(static_cast<size_t>(num_slots > 0 ? num_slots : 0)),
        prepare_(std::move(prepare)),
        queue_(num_threads, num_slots, first_job, num_jobs, [this](int64_t job, size_t slot) { prepare_(job, slots_[slot]); }) {}

  // The next job's slot, null after the last. It stays as it is until the next call or release().
  Slot* next() {
    const std::optional<size_t> slot = queue_.next();
    return slot ? &slots_[*slot] : nullptr;
  }

  // Gives the slot back before next() would.
  void release() { queue_.release(); }

  // What next() has taken so far in sum: the time that preparation did not hide.
  double wait_seconds() const { return queue_.wait_seconds(); }

 private:
  std::vector<Slot> slots_;
  Prepare prepare_;
  PrefetchQueue queue_;  // last: its threads use the others
};

}  // namespace fettle
