#pragma once
// The curves of runs as panels, and the panels as a picture.

#include <filesystem>
#include <string>
#include <vector>

#include "inspect-artifact/metric_names.h"
#include "inspect-artifact/metrics_log.h"

namespace fettle::inspect_artifact {

struct RunCurves {
  std::string name;       // for the legend
  MetricsLog log;         // empty where there is no metrics.jsonl
  SplitMetrics metrics;   // of the manifest; empty for an unfinished run
};

// Error(kInput) when the directory has neither a manifest nor metrics.jsonl.
RunCurves read_run(const std::filesystem::path& directory, const std::string& name);

struct Curve {
  size_t run = 0;  // which of the runs: its colour
  std::vector<Point> points;
};

struct Panel {
  std::string x_label, y_label;
  bool marked = false;  // few points: draw each
  std::vector<Curve> curves;
};

// Training losses by step; validation metrics by compute spent where every run with such a curve tells it, else by epoch;
// metrics by evaluation size. Of the validation metrics those in `metrics`, or, where it is empty, percentages and
// calibration errors (percentages alone while a run goes on). Panels without a point are left out.
// Error(kUsage) when a metric asked for is in none of the runs.
std::vector<Panel> panels_of(const std::vector<RunCurves>& runs, const std::vector<std::string>& metrics);

// At most `most` points that keep the lowest and the highest of each stretch.
std::vector<Point> thinned(std::vector<Point> points, size_t most);

std::string plot_script(const std::vector<std::string>& names, const std::vector<Panel>& panels);

}  // namespace fettle::inspect_artifact
