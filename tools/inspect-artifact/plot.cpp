#include "inspect-artifact/plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "artifact/manifest.h"
#include "base/errors.h"
#include "base/text.h"
#include "inspect-artifact/gnuplot.h"
#include "inspect-artifact/layout.h"

namespace fettle::inspect_artifact {
namespace {

constexpr size_t kMostPoints = 1500;  // a curve: three times what a panel has pixels

// Okabe and Ito's colours, which people who see few colours tell apart.
constexpr const char* kColors[] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"};
constexpr size_t kNumColors = std::size(kColors);

bool is_chosen_by_rule(const std::string& name) {
  return name.starts_with("val_") && (name.find("percent") != std::string::npos || name.ends_with("_ece"));
}

const EventTable& table(const RunCurves& run, const std::string& event) {
  static const EventTable kEmpty;
  const auto found = run.log.find(event);
  return found == run.log.end() ? kEmpty : found->second;
}

void add_curve(Panel& panel, size_t run, std::vector<Point> points) {
  std::erase_if(points, [](const Point& p) { return !std::isfinite(p.x) || !std::isfinite(p.y); });
  if (!points.empty()) panel.curves.push_back({run, thinned(std::move(points), kMostPoints)});
}

// The names that some run has, of those asked for or else of those that the rule chooses.
std::vector<std::string> chosen(const std::set<std::string>& present, const std::vector<std::string>& asked) {
  std::vector<std::string> names;
  if (asked.empty()) {
    std::copy_if(present.begin(), present.end(), std::back_inserter(names), is_chosen_by_rule);
    return without_variants(in_reading_order(names));
  }
  std::copy_if(asked.begin(), asked.end(), std::back_inserter(names), [&](const std::string& name) { return present.contains(name); });
  return names;
}

// Counts of multiply-adds have twelve digits and more: the axis counts in the largest unit below them.
struct Unit {
  double factor;
  const char* name;
};
Unit unit_for(double largest) {
  constexpr Unit kUnits[] = {{1e15, "quadrillion "}, {1e12, "trillion "}, {1e9, "billion "}, {1e6, "million "}};
  for (const Unit& unit : kUnits) {
    if (largest >= unit.factor) return unit;
  }
  return {1, ""};
}

Panel validation_panel(const std::vector<RunCurves>& runs, const std::string& metric) {
  bool with_compute = true;
  double largest = 0;
  for (const RunCurves& run : runs) {
    const EventTable& epochs = table(run, "epoch");
    if (!epochs.has(metric)) continue;
    const std::vector<Point> points = epochs.points("multiply_adds", metric);
    with_compute = with_compute && !points.empty();
    for (const Point& point : points) largest = std::max(largest, point.x);
  }
  const Unit unit = unit_for(largest);
  Panel panel{.x_label = with_compute ? fmt::format("compute spent ({}multiply-adds)", unit.name) : "epochs",
              .y_label = metric_label(metric),
              .marked = true,
              .curves = {}};
  for (size_t i = 0; i < runs.size(); ++i) {
    std::vector<Point> points = table(runs[i], "epoch").points(with_compute ? "multiply_adds" : "epoch", metric);
    for (Point& point : points) point.x = with_compute ? point.x / unit.factor : point.x + 1;  // epoch 0 has ended
    add_curve(panel, i, std::move(points));
  }
  return panel;
}

// Ticks where the points are, if these are few whole numbers with room between them.
std::string ticks(const std::set<double>& xs) {
  constexpr size_t kMost = 12;
  std::string list;
  double last = -INFINITY;
  for (const double x : xs) {
    if (xs.size() > kMost || x != std::floor(x) || x - last < (*xs.rbegin() - *xs.begin()) / (2 * kMost)) return "set xtics autofreq\n";
    list += fmt::format("{}{:.9g}", list.empty() ? "" : ", ", last = x);
  }
  return "set xtics (" + list + ")\n";
}

std::string range(double low, double high) {
  const double margin = high > low ? 0.06 * (high - low) : std::max(std::abs(high) * 0.05, 1e-6);
  return fmt::format("[{:.9g}:{:.9g}]", low - margin, high + margin);
}

std::string panel_script(const Panel& panel, size_t index, double left, double right, double bottom, double top) {
  std::string script;
  double low_x = INFINITY, high_x = -INFINITY, low_y = INFINITY, high_y = -INFINITY;
  std::set<double> xs;
  std::string plots;
  for (size_t i = 0; i < panel.curves.size(); ++i) {
    const Curve& curve = panel.curves[i];
    script += fmt::format("$data_{}_{} << EOD\n", index, i);
    for (const Point& p : curve.points) {
      script += fmt::format("{:.9g} {:.9g}\n", p.x, p.y);
      low_x = std::min(low_x, p.x), high_x = std::max(high_x, p.x), low_y = std::min(low_y, p.y), high_y = std::max(high_y, p.y);
      if (panel.marked) xs.insert(p.x);
    }
    script += "EOD\n";
    plots += fmt::format("{}$data_{}_{} using 1:2 with {} linestyle {}{} notitle", i == 0 ? "" : ", ", index, i,
                         panel.marked ? "linespoints" : "lines", curve.run + 1, panel.marked ? "" : " linewidth 0.8");
  }
  script += fmt::format(
      "set lmargin at screen {:.5f}\nset rmargin at screen {:.5f}\nset bmargin at screen {:.5f}\nset tmargin at screen {:.5f}\n", left,
      right, bottom, top);
  script += fmt::format("set xlabel {}\nset ylabel {}\n", gnuplot_string(panel.x_label), gnuplot_string(panel.y_label));
  script += fmt::format("set xrange {}\nset yrange {}\n", range(low_x, high_x), range(low_y, high_y));
  script += panel.marked ? ticks(xs) : "set xtics autofreq\n";
  return script + "plot " + plots + "\n";
}

// gnuplot's own legend is dropped in silence when it finds no room: this one is laid out here.
struct Legend {
  std::vector<std::string> names;
  size_t entries_a_line = 1;
  double entry_width = 0, height = 0;  // pixels
};

constexpr double kLegendLine = 24, kLegendPad = 14, kSample = 36, kSampleGap = 8, kEntryGap = 28, kLetter = 8.6;

Legend legend_of(const std::vector<std::string>& names, double width) {
  Legend legend;
  size_t longest = 1;
  for (const std::string& name : names) {
    legend.names.push_back(printable(name, 40));
    longest = std::max(longest, columns_of(legend.names.back()));
  }
  legend.entry_width = kSample + kSampleGap + static_cast<double>(longest) * kLetter + kEntryGap;
  legend.entries_a_line = std::clamp<size_t>(static_cast<size_t>(width / legend.entry_width), 1, std::max<size_t>(1, names.size()));
  const size_t lines = (names.size() + legend.entries_a_line - 1) / legend.entries_a_line;
  legend.height = kLegendLine * static_cast<double>(lines) + kLegendPad;
  return legend;
}

std::string legend_script(const Legend& legend, double width, double height) {
  std::string script;
  const double left = (width - legend.entry_width * static_cast<double>(legend.entries_a_line) + kEntryGap) / 2;
  for (size_t i = 0; i < legend.names.size(); ++i) {
    const double x = left + legend.entry_width * static_cast<double>(i % legend.entries_a_line);
    const double y = (height - kLegendPad - kLegendLine * (static_cast<double>(i / legend.entries_a_line) + 0.3)) / height;
    script += fmt::format("set arrow from screen {:.5f},{:.5f} to screen {:.5f},{:.5f} nohead linestyle {}\n", x / width, y,
                          (x + kSample) / width, y, i + 1);
    script += fmt::format("set label '' at screen {:.5f},{:.5f} point linestyle {}\n", (x + kSample / 2) / width, y, i + 1);
    script += fmt::format("set label {} at screen {:.5f},{:.5f} left textcolor rgb '#222222'\n", gnuplot_string(legend.names[i]),
                          (x + kSample + kSampleGap) / width, y);
  }
  return script;
}

}  // namespace

RunCurves read_run(const std::filesystem::path& directory, const std::string& name) {
  RunCurves run{.name = name, .log = read_metrics_log(directory), .metrics = {}};
  if (is_artifact(directory) || run.log.empty()) run.metrics = split_metrics(read_manifest(directory).metrics);
  return run;
}

std::vector<Point> thinned(std::vector<Point> points, size_t most) {
  if (points.size() <= most) return points;
  const size_t stretches = std::max<size_t>(1, most / 2);
  std::vector<Point> kept;
  for (size_t s = 0; s < stretches; ++s) {
    const auto begin = points.begin() + static_cast<std::ptrdiff_t>(points.size() * s / stretches);
    const auto end = points.begin() + static_cast<std::ptrdiff_t>(points.size() * (s + 1) / stretches);
    auto [low, high] = std::minmax_element(begin, end, [](const Point& a, const Point& b) { return a.y < b.y; });
    if (high < low) std::swap(low, high);
    kept.push_back(*low);
    if (low != high) kept.push_back(*high);
  }
  return kept;
}

std::vector<Panel> panels_of(const std::vector<RunCurves>& runs, const std::vector<std::string>& metrics) {
  std::set<std::string> losses, validations, sized;
  for (const RunCurves& run : runs) {
    for (const std::string& column : table(run, "train").columns()) {
      if (column == "loss" || column.ends_with("_loss")) losses.insert(column);
    }
    for (const std::string& column : table(run, "epoch").columns()) {
      if (column.starts_with("val_")) validations.insert(column);
    }
    for (const auto& [stem, values] : run.metrics.by_size) sized.insert(stem);
  }
  for (const std::string& name : metrics) {
    if (validations.contains(name) || sized.contains(name)) continue;
    std::vector<std::string> known(validations.begin(), validations.end());
    known.insert(known.end(), sized.begin(), sized.end());
    const std::string near = nearest_word(name, known);
    FT_FAIL(ExitCode::kUsage, "--metric: none of these runs has '{}'{}", printable(name),
            near.empty() ? "" : "; the nearest is '" + printable(near) + "'");
  }

  std::vector<Panel> panels;
  for (const std::string& loss : losses) {
    Panel panel{.x_label = "steps", .y_label = "training " + metric_label(loss), .marked = false, .curves = {}};
    for (size_t i = 0; i < runs.size(); ++i) add_curve(panel, i, table(runs[i], "train").points("step", loss));
    panels.push_back(std::move(panel));
  }
  for (const std::string& metric : chosen(validations, metrics)) {
    // By rule one panel of epochs and several of sizes: the calibration error is there for each size.
    if (metrics.empty() && sized.contains(metric) && metric.ends_with("_ece")) continue;
    panels.push_back(validation_panel(runs, metric));
  }
  for (const std::string& metric : chosen(sized, metrics)) {
    Panel panel{.x_label = "test size (pixels)", .y_label = metric_label(metric), .marked = true, .curves = {}};
    for (size_t i = 0; i < runs.size(); ++i) {
      const auto values = runs[i].metrics.by_size.find(metric);
      if (values == runs[i].metrics.by_size.end()) continue;
      std::vector<Point> points;
      for (const auto& [size, value] : values->second) points.push_back({static_cast<double>(size), value});
      add_curve(panel, i, std::move(points));
    }
    panels.push_back(std::move(panel));
  }
  std::erase_if(panels, [](const Panel& panel) { return panel.curves.empty(); });
  return panels;
}

std::string plot_script(const std::vector<std::string>& names, const std::vector<Panel>& panels) {
  // Pixels. The legend is a strip of its own at the top.
  const size_t columns = panels.size() > 1 ? 2 : 1, rows = (panels.size() + columns - 1) / columns;
  constexpr double kPanelWidth = 520, kPanelHeight = 340, kLeft = 84, kRight = 20, kTop = 12, kBottom = 62;
  const double width = kPanelWidth * static_cast<double>(columns);
  const Legend legend = legend_of(names, width);
  const double height = kPanelHeight * static_cast<double>(rows) + legend.height;

  std::string script = fmt::format(
      "set encoding utf8\n"
      "set terminal svg noenhanced size {:.0f},{:.0f} dynamic font 'sans-serif,14' background rgb 'white' linewidth 1.6\n"
      "set multiplot\nunset key\n"
      "set border 3 linecolor rgb '#555555'\nset tics nomirror textcolor rgb '#333333'\n"
      "set grid linecolor rgb '#dddddd' linewidth 0.6\nset format '%g'\n",
      width, height);
  for (size_t i = 0; i < names.size(); ++i) {
    script += fmt::format("set style line {} linecolor rgb '{}' linewidth 1.2 dashtype {} pointtype 7 pointsize 0.55\n", i + 1,
                          kColors[i % kNumColors], i / kNumColors % 5 + 1);
  }
  script += legend_script(legend, width, height);
  for (size_t i = 0; i < panels.size(); ++i) {
    const double column = static_cast<double>(i % columns), row = static_cast<double>(i / columns);
    const double top = height - legend.height - kPanelHeight * row;
    script += panel_script(panels[i], i, (kPanelWidth * column + kLeft) / width, (kPanelWidth * (column + 1) - kRight) / width,
                           (top - kPanelHeight + kBottom) / height, (top - kTop) / height);
    if (i == 0) script += "unset label\nunset arrow\n";  // the legend is drawn once
  }
  return script + "unset multiplot\n";
}

}  // namespace fettle::inspect_artifact
