#include "evaluate-model/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/html.h"
#include "base/human.h"

namespace fettle::evaluate {
namespace {

constexpr size_t kWorstPairs = 20;
constexpr int kSide = 260, kMargin = 44;  // of a reliability diagram, in pixels

std::string base64(const std::vector<uint8_t>& bytes) {
  static constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const size_t count = std::min<size_t>(3, bytes.size() - i);
    uint32_t word = 0;
    for (size_t k = 0; k < 3; ++k) word = word << 8 | (k < count ? bytes[i + k] : 0);
    for (size_t k = 0; k < 4; ++k) text += k <= count ? kDigits[word >> (18 - 6 * k) & 63] : '=';
  }
  return text;
}

void put_le(std::vector<uint8_t>& bytes, uint32_t value, int count) {
  for (int i = 0; i < count; ++i) bytes.push_back(static_cast<uint8_t>(value >> (8 * i)));
}

// Accuracy of each bin, and how far the confidence lies from it.
std::string reliability_diagram(const SizeResult& r, const std::string& samples) {
  const int full = kSide + 2 * kMargin;
  const auto y_of = [](double share) { return kMargin + (1 - share) * kSide; };
  std::string svg = fmt::format("<svg width='{0}' height='{0}' viewBox='0 0 {0} {0}' role='img'><title>Reliability{1}</title>\n", full, at_size(r.size));
  for (int tick = 0; tick <= 4; ++tick) {
    const double share = tick / 4.0, at = kMargin + share * kSide;
    svg += fmt::format("<line x1='{0}' y1='{1:.1f}' x2='{2}' y2='{1:.1f}' class='grid'/><text x='{3}' y='{4:.1f}' text-anchor='end'>{5}</text>", kMargin, y_of(share), kMargin + kSide,
                       kMargin - 5, y_of(share) + 4, share);
    svg += fmt::format("<text x='{:.1f}' y='{}' text-anchor='middle'>{}</text>\n", at, kMargin + kSide + 15, share);
  }
  const auto num_bins = static_cast<double>(r.bins.num_samples.size());
  for (size_t i = 0; i < r.bins.num_samples.size(); ++i) {
    const auto n = static_cast<double>(r.bins.num_samples[i]);
    if (n == 0) continue;
    const double accuracy = static_cast<double>(r.bins.num_correct[i]) / n, confidence = r.bins.confidence_sum[i] / n;
    const double x = kMargin + static_cast<double>(i) / num_bins * kSide, width = kSide / num_bins;
    svg += fmt::format("<rect x='{:.1f}' y='{:.1f}' width='{:.1f}' height='{:.1f}' class='bar'><title>{} {}: {:.1f} % right at a mean confidence of {:.1f} %</title></rect>", x + 0.5,
                       y_of(accuracy), width - 1, accuracy * kSide, r.bins.num_samples[i], samples, 100 * accuracy, 100 * confidence);
    svg += fmt::format("<rect x='{:.1f}' y='{:.1f}' width='{:.1f}' height='{:.1f}' class='gap'/>\n", x + 0.5, y_of(std::max(accuracy, confidence)), width - 1,
                       std::abs(accuracy - confidence) * kSide);
  }
  svg += fmt::format("<line x1='{0}' y1='{1}' x2='{1}' y2='{0}' class='ideal'/>", kMargin, kMargin + kSide);
  svg += fmt::format("<text x='{0}' y='{1}' text-anchor='middle'>confidence</text><text x='11' y='{0}' text-anchor='middle' transform='rotate(-90 11 {0})'>accuracy</text></svg>\n",
                     kMargin + kSide / 2, full - 3);
  return svg;
}

std::string class_table(const ReportPage& page, const SizeResult& r) {
  std::string html = fmt::format("<table><tr><th>class</th><th>{}</th><th>top-1, %</th></tr>\n", page.samples);
  for (const Confusion::ClassAccuracy& c : r.confusion.weakest_first()) {
    html += fmt::format("<tr><td>{}</td><td>{}</td><td>{:.1f}</td></tr>\n", html_escaped(page.class_names[static_cast<size_t>(c.label)]), with_thousands(c.images), c.percent);
  }
  return html + "</table>\n";
}

std::string pair_table(const ReportPage& page, const SizeResult& r) {
  const auto name = [&](int64_t c) { return html_escaped(page.class_names[static_cast<size_t>(c)]); };
  std::string html = fmt::format("<table><tr><th>label</th><th>answer</th><th>{}</th></tr>\n", page.samples);
  for (const Confusion::Pair& pair : r.confusion.worst(kWorstPairs)) {
    html += fmt::format("<tr><td>{}</td><td>{}</td><td>{}</td></tr>\n", name(pair.label), name(pair.answer), with_thousands(pair.count));
  }
  return html + "</table>\n";
}

std::string error_figure(const ReportPage& page, const ShownError& error) {
  const auto name = [&](int64_t c) { return html_escaped(page.class_names[static_cast<size_t>(c)]); };
  const std::string picture = error.picture.empty() ? "" : fmt::format("<img src='{}' alt='{}'>", error.picture, html_escaped(error.name));
  return fmt::format("<figure>{}<figcaption><b>{}</b> {:.1f} %, is {}<br><span>{}</span></figcaption></figure>\n", picture,
                     name(error.answer.classes[0]), 100 * error.answer.probabilities[0], name(error.answer.label), html_escaped(error.name));
}

constexpr const char* kStyle = R"(body{font:15px/1.45 sans-serif;max-width:1100px;margin:2em auto;padding:0 1em;color:#222;background:#fff}
h1{font-size:1.5em}h2{font-size:1.2em;margin-top:2em}
table{border-collapse:collapse}td,th{padding:.2em .8em;border-bottom:1px solid #ddd;text-align:right}td:first-child,th:first-child{text-align:left}
.row{display:flex;flex-wrap:wrap;gap:2em;align-items:flex-start}.pairs td:nth-child(2),.pairs th:nth-child(2){text-align:left}
figure{margin:0;width:170px;font-size:12px}figure img{width:170px;height:170px;object-fit:contain;background:#eee;image-rendering:auto}
figcaption span{color:#777;overflow-wrap:anywhere}svg text{font-size:11px;fill:#555}.grid{stroke:#e4e4e4}.bar{fill:#4477aa}.gap{fill:#cc3311;fill-opacity:.35}
.ideal{stroke:#888;stroke-dasharray:4 3}
)";

}  // namespace

std::string image_uri(const std::vector<uint8_t>& rgb, int64_t height, int64_t width) {
  const auto row_bytes = static_cast<uint32_t>((width * 3 + 3) / 4 * 4), pixel_bytes = row_bytes * static_cast<uint32_t>(height);
  std::vector<uint8_t> bmp = {'B', 'M'};
  put_le(bmp, 54 + pixel_bytes, 4);
  put_le(bmp, 0, 4);
  put_le(bmp, 54, 4);   // where the pixels begin
  put_le(bmp, 40, 4);   // bytes of the rest of the header
  put_le(bmp, static_cast<uint32_t>(width), 4);
  put_le(bmp, static_cast<uint32_t>(height), 4);  // from the bottom up
  put_le(bmp, 1, 2);
  put_le(bmp, 24, 2);
  put_le(bmp, 0, 4);
  put_le(bmp, pixel_bytes, 4);
  for (int i = 0; i < 4; ++i) put_le(bmp, 0, 4);
  for (int64_t y = height; y-- > 0;) {
    const uint8_t* row = rgb.data() + y * width * 3;
    for (int64_t x = 0; x < width; ++x) bmp.insert(bmp.end(), {row[3 * x + 2], row[3 * x + 1], row[3 * x]});
    bmp.resize(54 + row_bytes * static_cast<size_t>(height - y));
  }
  return "data:image/bmp;base64," + base64(bmp);
}

std::string to_html(const ReportPage& page) {
  std::string html = fmt::format("<!doctype html>\n<html lang='en'><meta charset='utf-8'><meta name='viewport' content='width=device-width'><title>Evaluation of {}</title>\n<style>{}</style>\n",
                                 html_escaped(page.model), kStyle);
  html += fmt::format("<h1>Evaluation</h1>\n<p>{}<br>{}</p>\n", html_escaped(page.model), html_escaped(page.data));
  html += fmt::format("<table><tr><th>size, px</th><th>{}</th><th>top-1, %</th><th>top-5, %</th><th>NLL</th><th>ECE</th></tr>\n", page.samples);
  for (const SizeResult& r : page.sizes) {
    html += fmt::format("<tr><td>{}</td><td>{}</td><td>{:.2f}</td><td>{:.2f}</td><td>{:.4f}</td><td>{:.4f}</td></tr>\n", r.size > 0 ? std::to_string(r.size) : "-",
                        with_thousands(r.result.num_samples), r.result.top1_percent, r.result.top5_percent, r.result.nll, r.result.ece);
  }
  html += "</table>\n<h2>Calibration</h2>\n<p>Bars: how many of the answers in a bin of confidence are right. Red: how far their mean confidence is from that.</p>\n<div class='row'>\n";
  for (const SizeResult& r : page.sizes) html += fmt::format("<div>ECE{} {:.4f}<br>{}</div>\n", at_size(r.size), r.result.ece, reliability_diagram(r, page.samples));
  const SizeResult& first = page.sizes.front();
  html += fmt::format("</div>\n<h2>Classes{}</h2>\n<div class='row'><div>{}</div><div class='pairs'>{}</div></div>\n", at_size(first.size), class_table(page, first), pair_table(page, first));
  if (!page.corrupted.empty()) {
    html += fmt::format("<h2>Corrupted images at {} px</h2>\n<table><tr><th>corruption</th><th>severity</th><th>top-1, %</th><th>NLL</th><th>ECE</th></tr>\n", first.size);
    for (const CorruptedResult& c : page.corrupted) {
      html += fmt::format("<tr><td>{}</td><td>{}</td><td>{:.2f}</td><td>{:.4f}</td><td>{:.4f}</td></tr>\n", html_escaped(c.corruption), c.severity, c.result.result.top1_percent,
                          c.result.result.nll, c.result.result.ece);
    }
    html += "</table>\n";
  }
  if (!page.errors.empty()) {
    html += fmt::format("<h2>The most confident errors{}</h2>\n{}<div class='row'>\n", at_size(first.size), first.size > 0 ? "<p>Scaled and cut out as for the network.</p>\n" : "");
    for (const ShownError& error : page.errors) html += error_figure(page, error);
    html += "</div>\n";
  }
  return html + "</html>\n";
}

}  // namespace fettle::evaluate
