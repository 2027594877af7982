#pragma once
// Memory for tensors' elements outside LibTorch: uninitialised, aligned to a cache line, grown only.

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>

namespace fettle {

class AlignedBuffer {
 public:
  // At least `bytes` of memory; contents are lost when it grows. Throws std::bad_alloc.
  void* reserve(int64_t bytes) {
    if (bytes > capacity_) {
      constexpr size_t kLine = 64;
      memory_.reset(std::aligned_alloc(kLine, (static_cast<size_t>(bytes) + kLine - 1) / kLine * kLine));
      if (!memory_) throw std::bad_alloc();
      capacity_ = bytes;
    }
    return memory_.get();
  }
  void* data() const { return memory_.get(); }

 private:
  struct Free {
    void operator()(void* memory) const { std::free(memory); }
  };
  std::unique_ptr<void, Free> memory_;
  int64_t capacity_ = 0;
};

}  // namespace fettle
