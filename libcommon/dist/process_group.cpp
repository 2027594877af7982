#include "dist/process_group.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <future>
#include <thread>

#include "base/signals.h"
#include "base/text.h"
#include "dist/process_group_impl.h"

namespace fettle {
namespace {

constexpr const char* kFailure = "failure";  // the store's key for why the first process to fail did
constexpr const char* kFate = "fate";        // what became of the meeting: kMet, or "143 rank 1", an exit code and whose it is
constexpr const char* kMet = "met";
constexpr std::chrono::seconds kStoreOutlivesFailure{2};
constexpr std::chrono::milliseconds kLookEvery{50};
constexpr int64_t kMostTextBytes = int64_t{1} << 30;

std::string first_line(std::string text) { return text.substr(0, text.find('\n')); }

std::string reason_of(const std::exception& error) {
  const auto* torch_error = dynamic_cast<const c10::Error*>(&error);
  return first_line(torch_error != nullptr ? torch_error->what_without_backtrace() : error.what());
}

c10::intrusive_ptr<c10d::ProcessGroup> gloo_group(const c10::intrusive_ptr<c10d::Store>& store, const std::string& name, const Launch& launch, std::chrono::milliseconds timeout) {
  const auto prefixed = c10::make_intrusive<c10d::PrefixStore>(name, store);
  const auto options = c10d::ProcessGroupGloo::Options::create_default(timeout);
  options->threads = 1;  // operations one after the other: two would take turns on the same cores
  const auto gloo = c10::make_intrusive<c10d::ProcessGroupGloo>(prefixed, launch.rank, launch.size, options);
  auto group = c10::make_intrusive<c10d::ProcessGroup>(prefixed, launch.rank, launch.size);
  group->setBackend(c10::DeviceType::CPU, c10d::ProcessGroup::BackendType::GLOO, gloo);
  group->setDefaultBackend(c10d::ProcessGroup::BackendType::GLOO);
  return group;
}

// Connects to the store, or opens it. Asked to stop meanwhile, a process that finds it can still tell the others; one that does not soon, ends.
c10::intrusive_ptr<c10d::TCPStore> open_store(const Launch& launch, std::chrono::milliseconds timeout) {
  c10d::TCPStoreOptions options;
  options.port = launch.port;
  options.isServer = launch.is_first() && !launch.launcher_has_store;
  options.numWorkers = launch.size;
  options.waitWorkers = false;  // meet() waits
  options.timeout = timeout;
  std::future<c10::intrusive_ptr<c10d::TCPStore>> opened =
      std::async(std::launch::async, [&] { return c10::make_intrusive<c10d::TCPStore>(launch.address, options); });
  std::chrono::milliseconds stopping{0};
  while (opened.wait_for(kLookEvery) != std::future_status::ready) {
    if (stop_requested() && (stopping += kLookEvery) >= kStoreOutlivesFailure) _exit(128 + stop_signal());
  }
  return opened.get();
}

// Waits until all processes are there, or one of them was told to stop before, which then ends all. The first to find either writes it down
// for everyone, so that nobody goes on alone.
void meet(c10d::Store& store, const Launch& launch, std::chrono::milliseconds timeout) {
  const auto arrival = [](int rank) { return fmt::format("arrived/{}", rank); };
  std::vector<std::string> arrivals;
  for (int rank = 0; rank < launch.size; ++rank) arrivals.push_back(arrival(rank));
  store.set(arrival(launch.rank), std::string("1"));
  const auto began = std::chrono::steady_clock::now();
  std::string fate;
  for (;; std::this_thread::sleep_for(kLookEvery)) {
    if (store.check(arrivals)) {
      fate = store.compareSet(kFate, std::string(), std::string(kMet));
    } else if (stop_requested()) {
      fate = store.compareSet(kFate, std::string(), fmt::format("{} rank {}", 128 + stop_signal(), launch.rank));
    } else if (store.check({kFate})) {
      fate = store.get_to_str(kFate);
    }
    if (!fate.empty()) break;
    if (std::chrono::steady_clock::now() - began > timeout) {
      std::erase_if(arrivals, [&](const std::string& key) { return store.check({key}); });
      throw std::runtime_error(fmt::format("{} of them did not come, such as rank {}", arrivals.size(), arrivals.empty() ? "" : arrivals[0].substr(arrivals[0].find('/') + 1)));
    }
  }
  if (fate == kMet) return;
  if (launch.is_first()) std::this_thread::sleep_for(kStoreOutlivesFailure);
  const bool interrupted = fate.starts_with(std::to_string(static_cast<int>(ExitCode::kInterrupted)));
  throw LostProcess(interrupted ? ExitCode::kInterrupted : ExitCode::kTerminated,
                    fmt::format("rank {}: {} was told to stop before all {} processes had met", launch.rank, fate.substr(fate.find(' ') + 1), launch.size));
}

template <class F>
void run(const F& start) {
  try {
    start()->wait();
  } catch (const std::exception& error) {
    throw_if_lost(error);
    throw;
  }
}

}  // namespace

void throw_if_lost(const std::exception& error) {
  const std::string text = reason_of(error);
  // "[.../gloo/transport/tcp/pair.cc:537] Connection closed by peer [127.0.0.1]:4711", "... Timed out waiting 60000ms for recv operation ..."
  if (text.find("gloo/") == std::string::npos && text.find("onnection") == std::string::npos) return;
  const bool silent = text.find("imed out") != std::string::npos;
  throw LostProcess(ExitCode::kMachine, silent ? "another process of this run does not answer" : "another process of this run is gone: its connection was closed");
}

ProcessGroup::ProcessGroup() = default;

ProcessGroup::ProcessGroup(const Launch& launch, double timeout_s) : rank_(launch.rank), size_(launch.size) {
  if (launch.size == 1) return;
  impl_ = std::make_unique<Impl>();
  impl_->timeout = std::chrono::milliseconds(static_cast<int64_t>(timeout_s * 1000));
  try {
    impl_->store = c10::make_intrusive<c10d::PrefixStore>("fettle/" + launch.attempt, open_store(launch, impl_->timeout));
    impl_->store->setTimeout(impl_->timeout);
    meet(*impl_->store, launch, impl_->timeout);
    impl_->control = gloo_group(impl_->store, "control", launch, impl_->timeout);
    impl_->gradients = gloo_group(impl_->store, "gradients", launch, impl_->timeout);
  } catch (const Error&) {
    throw;
  } catch (const std::exception& error) {
    throw LostProcess(ExitCode::kMachine, fmt::format("rank {}: not all {} processes met at {}:{} within {:g} s: {}", launch.rank, launch.size, launch.address, launch.port, timeout_s, reason_of(error)),
                      "each process needs the same MASTER_ADDR and MASTER_PORT, and a port that is free");
  }
}

ProcessGroup::~ProcessGroup() = default;

void ProcessGroup::sum(at::Tensor tensor) const {
  if (size_ == 1) return;
  FT_CHECK(tensor.is_contiguous());
  run([&] {
    std::vector<at::Tensor> tensors = {tensor};
    return impl_->control->allreduce(tensors);
  });
}

std::vector<double> ProcessGroup::sum(std::vector<double> numbers) const {
  if (size_ > 1) sum(at::from_blob(numbers.data(), {static_cast<int64_t>(numbers.size())}, at::kDouble));
  return numbers;
}

bool ProcessGroup::any(bool flag) const { return sum(std::vector<double>{flag ? 1.0 : 0.0})[0] > 0; }

void ProcessGroup::broadcast(at::Tensor tensor) const {
  if (size_ == 1 || tensor.numel() == 0) return;
  const at::NoGradGuard no_grad;
  at::Tensor whole = tensor.contiguous();
  run([&] {
    std::vector<at::Tensor> tensors = {whole};
    return impl_->control->broadcast(tensors);
  });
  if (!whole.is_same(tensor)) tensor.copy_(whole);
}

std::string ProcessGroup::broadcast(const std::string& text) const { return size_ == 1 ? text : gather(is_first() ? text : "")[0]; }

std::vector<std::string> ProcessGroup::gather(const std::string& text) const {
  if (size_ == 1) return {text};
  const auto count = static_cast<size_t>(size_);
  std::vector<double> lengths(count, 0);
  lengths[static_cast<size_t>(rank_)] = static_cast<double>(text.size());
  lengths = sum(std::move(lengths));
  double all = 0, before = 0;
  for (size_t i = 0; i < count; ++i) {
    all += lengths[i];
    if (i < static_cast<size_t>(rank_)) before += lengths[i];
  }
  FT_CHECK(all <= static_cast<double>(kMostTextBytes), "{:.0f} bytes of text between processes", all);
  // Each rank's bytes at their place among zeros.
  at::Tensor bytes = at::zeros({static_cast<int64_t>(all)}, at::kByte);
  if (!text.empty()) std::memcpy(bytes.mutable_data_ptr<uint8_t>() + static_cast<size_t>(before), text.data(), text.size());
  if (all > 0) sum(bytes);
  std::vector<std::string> texts;
  const char* from = reinterpret_cast<const char*>(bytes.const_data_ptr<uint8_t>());
  for (const double length : lengths) {
    texts.emplace_back(from, static_cast<size_t>(length));
    from += static_cast<size_t>(length);
  }
  return texts;
}

void ProcessGroup::together(const std::function<void()>& part) const {
  if (size_ == 1) return part();
  const std::string own = fmt::format("rank {}: ", rank_);
  // Who failed first, and why; this process itself where no other was before it. Nothing where the store is gone with its process.
  const auto first_failure = [&](const std::string& reason) -> std::string {
    try {
      const std::string text = own + reason;
      const std::vector<uint8_t> said = impl_->store->compareSet(kFailure, std::vector<uint8_t>{}, std::vector<uint8_t>(text.begin(), text.end()));
      return {said.begin(), said.end()};
    } catch (const std::exception&) {
      return {};
    }
  };
  const auto leave = [&](const std::string& reason, const std::function<void()>& rethrow) {
    const std::string first = first_failure(reason);
    // The others see this process's connections close, and look up why while the store still stands.
    impl_->control.reset();
    impl_->gradients.reset();
    if (is_first()) std::this_thread::sleep_for(kStoreOutlivesFailure);
    const bool all_met_it = !first.empty() && first.substr(first.find(": ") + 2) == reason;
    const bool is_own = first.empty() || first.starts_with(own) || all_met_it;
    if (!is_own) throw LostProcess(ExitCode::kMachine, fmt::format("rank {} ends because another process did: {}", rank_, first));
    rethrow();
  };
  try {
    part();
  } catch (const LostProcess& error) {
    leave(error.what(), [&] { throw LostProcess(error.code(), own + error.what(), "its own output says why; --rank-timeout says how long a process waits for the others"); });
  } catch (const Error& error) {
    leave(error.what(), [&] { throw Error(error.code(), own + error.what(), error.hint()); });
  } catch (const std::exception& error) {
    leave(reason_of(error), [&] { throw; });
  }
}

}  // namespace fettle
