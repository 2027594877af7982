#include "byteformer-train/saliency_page.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "base/html.h"
#include "base/human.h"

namespace fettle::byteformer {
namespace {

constexpr size_t kColumns = 1000;  // at most; of the drawing's units, in which the chart is as wide
constexpr double kLeft = 62, kRight = 14, kTop = 12, kCurve = 190, kGap = 10, kStrip = 30;
constexpr double kCharacter = 6.2;  // of a label, about

std::string number(size_t count) { return with_thousands(static_cast<int64_t>(count)); }

// What a column's bytes have, each sign by itself.
struct Column {
  double positive = 0, negative = 0;
};

std::vector<Column> columns_of(const std::vector<double>& of_bytes, size_t begin, size_t end) {
  std::vector<Column> columns(std::min(kColumns, end - begin));
  for (size_t c = 0; c < columns.size(); ++c) {
    for (size_t i = begin + c * (end - begin) / columns.size(); i < begin + (c + 1) * (end - begin) / columns.size(); ++i) {
      (of_bytes[i] > 0 ? columns[c].positive : columns[c].negative) += of_bytes[i];
    }
  }
  return columns;
}

// The outline of one sign's columns, down to the line of zero.
template <class Value>
std::string outline(const std::vector<Column>& columns, double zero, const char* css_class, Value y_of) {
  std::string path = fmt::format("<path class='{}' d='M{:.0f} {:.1f}", css_class, kLeft, zero);
  double last = zero;
  for (size_t c = 0; c < columns.size(); ++c) {
    const double y = y_of(columns[c]);
    // Equal neighbours are one line.
    if (std::abs(y - last) >= 0.05) path += fmt::format("H{:.1f}V{:.1f}", kLeft + static_cast<double>(c * kColumns) / static_cast<double>(columns.size()), y);
    if (std::abs(y - last) >= 0.05) last = y;
  }
  return path + fmt::format("H{:.0f}V{:.1f}Z'/>\n", kLeft + kColumns, zero);
}

// A step between ticks of 1, 2 or 5 times a power of ten, for about eight of them.
size_t tick_step(size_t bytes) {
  size_t step = 1;
  while (bytes / step > 8) {
    if (bytes / (2 * step) <= 8) return 2 * step;
    if (bytes / (5 * step) <= 8) return 5 * step;
    step *= 10;
  }
  return step;
}

std::string chart(const Explanation& e, size_t begin, size_t end, const std::string& title) {
  const std::vector<Column> columns = columns_of(e.of_bytes, begin, end);
  double most = 0, least = 0;
  for (const Column& column : columns) {
    most = std::max(most, column.positive);
    least = std::min(least, column.negative);
  }
  const double range = most > least ? most - least : 1, zero = kTop + kCurve * (most > least ? most / range : 0.5), strip = kTop + kCurve + kGap, height = strip + kStrip + 22;
  const double unit = static_cast<double>(kColumns) / static_cast<double>(end - begin);  // a byte's width
  const auto x_of = [&](size_t position) { return kLeft + static_cast<double>(position - begin) * unit; };
  std::string svg = fmt::format("<svg viewBox='0 0 {:.0f} {:.0f}' role='img'><title>{}</title>\n", kLeft + kColumns + kRight, height, html_escaped(title));
  svg += outline(columns, zero, "for", [&](const Column& column) { return zero - column.positive / range * kCurve; });
  svg += outline(columns, zero, "against", [&](const Column& column) { return zero - column.negative / range * kCurve; });
  svg += fmt::format("<line x1='{:.0f}' x2='{:.0f}' y1='{:.1f}' y2='{:.1f}' class='zero'/>", kLeft, kLeft + kColumns, zero, zero);
  const auto value_label = [&](double y, double value) { svg += fmt::format("<text x='{:.0f}' y='{:.1f}' text-anchor='end'>{:+.2g}</text>", kLeft - 6, y + 4, value); };
  if (most > 0) value_label(kTop, most);
  if (least < 0) value_label(kTop + kCurve, least);
  if (zero - kTop > 14 && kTop + kCurve - zero > 14) svg += fmt::format("<text x='{:.0f}' y='{:.1f}' text-anchor='end'>0</text>", kLeft - 6, zero + 4);
  svg += "\n";

  // Narrow regions over wide ones, and none so narrow that it is lost.
  std::vector<size_t> order;
  for (size_t i = 0; i < e.regions.size(); ++i) {
    if (e.regions[i].begin < end && e.regions[i].end > begin) order.push_back(i);
  }
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return e.regions[a].size() > e.regions[b].size(); });
  for (const size_t i : order) {
    const Region& region = e.regions[i];
    const size_t first = std::max(begin, region.begin), last = std::min(end, region.end);
    const double width = std::max(1.5, static_cast<double>(last - first) * unit), x = std::min(x_of(first), kLeft + kColumns - width);
    svg += fmt::format("<rect x='{:.1f}' y='{:.0f}' width='{:.1f}' height='{:.0f}' class='region {}'><title>{}, bytes {} to {}</title></rect>", x, strip, width, kStrip,
                       region_kind_name(region.kind), html_escaped(region.name), number(region.begin), number(region.end - 1));
    if (kCharacter * static_cast<double>(region.name.size()) + 8 <= width) {
      svg += fmt::format("<text x='{:.1f}' y='{:.1f}' text-anchor='middle' class='label'>{}</text>", x + width / 2, strip + kStrip / 2 + 4, html_escaped(region.name));
    }
    svg += "\n";
  }
  const size_t step = tick_step(end - begin);
  for (size_t at = begin; at <= end; at += step) {
    const bool at_edge = kLeft + kColumns - x_of(at) < 30;
    svg += fmt::format("<line x1='{0:.1f}' x2='{0:.1f}' y1='{1:.0f}' y2='{2:.0f}' class='tick'/><text x='{3:.1f}' y='{4:.0f}' text-anchor='{5}'>{6}</text>", x_of(at), strip + kStrip,
                       strip + kStrip + 5, at_edge ? kLeft + kColumns : x_of(at), strip + kStrip + 18, at_edge ? "end" : "middle", number(at));
  }
  return svg + "\n</svg>\n";
}

std::string legend(const Explanation& e) {
  std::string html = "<p class='legend'><span class='key for'></span>for the answer <span class='key against'></span>against it";
  for (int kind = 0; kind < kNumRegionKinds; ++kind) {
    const bool occurs = std::any_of(e.regions.begin(), e.regions.end(), [&](const Region& region) { return region.kind == static_cast<RegionKind>(kind); });
    if (occurs) html += fmt::format(" <span class='key {0}'></span>{0}", region_kind_name(static_cast<RegionKind>(kind)));
  }
  return html + "</p>\n";
}

std::string table(const Explanation& e) {
  const std::vector<RegionShare> shares = shares_of(e);
  std::string html =
      "<table><tr><th>region</th><th>kind</th><th>bytes</th><th>of file, %</th><th>of attribution, %</th><th class='bar'></th><th>logits</th><th>&times; mean byte</th></tr>\n";
  for (size_t i = 0; i < e.regions.size(); ++i) {
    const Region& region = e.regions[i];
    const RegionShare& share = shares[i];
    html += fmt::format("<tr><td title='bytes {} to {}'>{}</td><td><span class='key {}'></span>{}</td><td>{}</td><td>{:.2f}</td><td>{:.2f}</td><td class='bar'><div style='width:{:.1f}%'></div></td><td>{:+.4f}</td>"
                        "<td title='{:.3g} logits a byte'>{:.2f}</td></tr>\n",
                        number(region.begin), number(region.end - 1), html_escaped(region.name), region_kind_name(region.kind), region_kind_name(region.kind), number(region.size()), 100 * share.of_file,
                        100 * share.of_attribution, 100 * share.of_attribution, share.attribution, share.per_byte, share.of_attribution / share.of_file);
  }
  return html + "</table>\n";
}

constexpr const char* kStyle = R"(:root{color-scheme:light dark;--text:#222;--soft:#666;--ground:#fff;--line:#ddd;--for:#4477aa;--against:#cc3311;
--header:#66bb88;--table:#ddcc66;--metadata:#cc88bb;--data:#88ccee;--trailer:#ee9966;--unknown:#c4c4c4}
@media(prefers-color-scheme:dark){:root{--text:#ddd;--soft:#999;--ground:#181818;--line:#3a3a3a;--for:#77aadd;--against:#ee7755}}
body{font:15px/1.45 sans-serif;max-width:1100px;margin:2em auto;padding:0 1em;color:var(--text);background:var(--ground)}
h1{font-size:1.5em;overflow-wrap:anywhere}h2{font-size:1.2em;margin-top:2em}.note{color:var(--soft);font-size:13px}
table{border-collapse:collapse}td,th{padding:.2em .8em;border-bottom:1px solid var(--line);text-align:right;white-space:nowrap}
td:first-child,th:first-child,td:nth-child(2),th:nth-child(2){text-align:left}td:first-child{white-space:normal;overflow-wrap:anywhere}
.bar{width:110px;padding-left:0}.bar div{background:var(--for);height:.7em;min-width:1px}
svg{width:100%;height:auto;display:block}svg text{font-size:11px;fill:var(--soft)}svg text.label{fill:#222;pointer-events:none}
path.for{fill:var(--for)}path.against{fill:var(--against)}.zero{stroke:var(--soft);stroke-width:.7}.tick{stroke:var(--soft)}.region{stroke:var(--ground);stroke-width:.5}
rect.header{fill:var(--header)}rect.table{fill:var(--table)}rect.metadata{fill:var(--metadata)}rect.data{fill:var(--data)}rect.trailer{fill:var(--trailer)}rect.unknown{fill:var(--unknown)}
.key{display:inline-block;width:.8em;height:.8em;margin:0 .4em 0 .8em}td .key{margin-left:0}
.key.for{background:var(--for)}.key.against{background:var(--against)}.key.header{background:var(--header)}.key.table{background:var(--table)}.key.metadata{background:var(--metadata)}
.key.data{background:var(--data)}.key.trailer{background:var(--trailer)}.key.unknown{background:var(--unknown)}
)";

}  // namespace

std::string to_html(const Explanation& e) {
  const Saliency& s = e.saliency;
  const auto class_name = [&](int64_t c) { return html_escaped(e.class_names[static_cast<size_t>(c)]); };
  const std::string file = e.file == "-" ? "standard input" : html_escaped(e.file);
  const size_t size = e.of_bytes.size();
  std::string html = fmt::format("<!doctype html>\n<html lang='en'><meta charset='utf-8'><meta name='viewport' content='width=device-width'><title>Bytes of {}</title>\n<style>{}</style>\n", file, kStyle);
  html += fmt::format("<h1>{}</h1>\n<p>{}, {} bytes", file, html_escaped(e.format), number(size));
  if (static_cast<size_t>(e.bytes_read) != size) html += fmt::format(", of which the network reads {}", with_thousands(e.bytes_read));
  html += fmt::format("<br>Answer: <b>{}</b> {:.1f} %", class_name(s.answer), 100 * s.probability);
  if (s.runner_up >= 0) html += fmt::format(", before {} {:.1f} %", class_name(s.runner_up), 100 * s.runner_up_probability);
  if (s.baseline_answer == s.answer) {
    html += fmt::format("<br><b>Without any bytes the network answers {} too</b>: this file adds {:+.3f} to a margin of {:+.3f} logits, and what follows shares out that alone.", class_name(s.answer),
                        s.margin - s.baseline_margin, s.baseline_margin);
  }
  html += fmt::format("<br><span class='note'>{}</span></p>\n<h2>Along the file</h2>\n{}", html_escaped(e.model_id), legend(e));
  html += chart(e, 0, size, "Attribution along the file");
  if (size > 2 * kColumns) html += fmt::format("<h2>The first {} bytes</h2>\n{}", number(kColumns), chart(e, 0, kColumns, "Attribution of the first bytes"));
  html += "<h2>Regions</h2>\n" + table(e);
  html += fmt::format("<p class='note'>Integrated gradients (arXiv 1703.01365), {} points: what each byte adds to the margin of the answer{}, on the way from no bytes to this file. The margin is {:+.3f} logits, without bytes "
                      "{:+.3f}; attributions sum up to the difference but for {:+.2g}. A column has the sum of its bytes, each sign by itself. Shares of attribution are of absolute values; &times; mean byte is "
                      "a region's share of attribution over its share of the file.</p>\n",
                      s.points, s.runner_up >= 0 ? " over the runner-up" : "", s.margin, s.baseline_margin, s.completeness_gap);
  return html + "</html>\n";
}

}  // namespace fettle::byteformer
