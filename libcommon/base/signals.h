#pragma once
// SIGINT and SIGTERM: the first one sets a flag that long loops read between steps, the second one ends the process at
// once. The flag is the one piece of process-wide state that signals force on us.

namespace fettle {

void install_stop_signals();

// 0, or the number of the signal that asked us to stop.
int stop_signal();
inline bool stop_requested() { return stop_signal() != 0; }

}  // namespace fettle
