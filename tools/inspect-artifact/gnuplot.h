#pragma once
// Runs gnuplot, which draws the pictures.

#include <string>
#include <string_view>

namespace fettle::inspect_artifact {

// What gnuplot writes to its standard output for this script: no shell, no start-up file of the user's.
// Error(kMachine) when it is not in PATH or fails.
std::string run_gnuplot(std::string_view script);

// A text as a gnuplot string in which nothing means anything to gnuplot; ' becomes ’.
std::string gnuplot_string(std::string_view text);

}  // namespace fettle::inspect_artifact
