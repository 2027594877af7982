#include "base/signals.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>

namespace fettle {
namespace {

std::atomic<int> received{0};
static_assert(std::atomic<int>::is_always_lock_free, "used in a signal handler");

void on_signal(int signal_number) {
  int none = 0;
  if (!received.compare_exchange_strong(none, signal_number)) _exit(128 + signal_number);
}

}  // namespace

void install_stop_signals() {
  struct sigaction action {};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

int stop_signal() { return received.load(std::memory_order_relaxed); }

}  // namespace fettle
