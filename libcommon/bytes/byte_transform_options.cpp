// Options of byte transforms: names, JSON, checks, tables out of files.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <string>

#include "base/errors.h"
#include "base/text.h"
#include "bytes/byte_transforms.h"
#include "io/file.h"

namespace fettle::byteformer {
namespace {

constexpr std::string_view kOrders[] = {"reverse", "cyclic-half-length", "stride", "window-shuffle", "random-shuffle"};
constexpr int64_t kMaxWindow = int64_t{1} << 24, kMaxLength = int64_t{1} << 27;
constexpr uint64_t kMaxPhiBytes = 4096;

std::string shown(const Json& value) { return quote(value.dump(-1, ' ', true, Json::error_handler_t::replace)); }

// The values of one JSON object: each has its type and range, none is extra.
class Reader {
 public:
  Reader(const Json& json, std::string where, std::initializer_list<std::string_view> keys) : json_(json), where_(std::move(where)) {
    FT_REQUIRE(json.is_object(), "{}: expected a JSON object, found {}", where_, shown(json));
    for (const auto& [key, value] : json.items()) {
      FT_REQUIRE(std::find(keys.begin(), keys.end(), key) != keys.end(), "{}: unknown key {}", where_, quote(key));
    }
  }

  bool has(const char* key) const { return json_.contains(key); }
  const Json& at(const char* key) const {
    FT_REQUIRE(has(key), "{}: no '{}'", where_, key);
    return json_[key];
  }
  int64_t integer(const char* key, int64_t least, int64_t most) const {
    const Json& value = at(key);
    FT_REQUIRE(value.is_number_integer() && value >= least && value <= most, "{}: {} is {}, expected {} to {}", where_, key, shown(value), least, most);
    return value.get<int64_t>();
  }
  double number(const char* key) const {
    FT_REQUIRE(at(key).is_number(), "{}: {} is {}, expected a number", where_, key, shown(at(key)));
    return at(key).get<double>();
  }
  bool boolean(const char* key) const {
    FT_REQUIRE(at(key).is_boolean(), "{}: {} is {}, expected true or false", where_, key, shown(at(key)));
    return at(key).get<bool>();
  }
  const std::string& where() const { return where_; }

 private:
  const Json& json_;
  std::string where_;
};

Reorder read_reorder(const Reader& reader) {
  const Json& name = reader.at("order");
  const std::optional<Order> order = name.is_string() ? find_order(name.get<std::string>()) : std::nullopt;
  FT_REQUIRE(order, "{}: order is {}, expected one of {}", reader.where(), shown(name), fmt::join(kOrders, ", "));
  Reorder reorder{.order = *order};
  const auto require_order = [&](const char* key, Order wanted) {
    FT_REQUIRE(reorder.order == wanted, "{}: '{}' is no setting of order '{}'", reader.where(), key, order_name(reorder.order));
  };
  if (reader.has("stride")) {
    require_order("stride", Order::kStride);
    reorder.stride = reader.integer("stride", 1, kMaxLength);
  }
  if (reader.has("window")) {
    require_order("window", Order::kWindowShuffle);
    reorder.window = reader.integer("window", 1, kMaxWindow);
  }
  if (reader.has("redraw_each_batch")) {
    require_order("redraw_each_batch", Order::kWindowShuffle);
    reorder.redraw_each_batch = reader.boolean("redraw_each_batch");
  }
  return reorder;
}

// Every number of 0..255 once.
ByteTable table_of(const std::vector<int64_t>& values, std::string_view where) {
  FT_REQUIRE(values.size() == 256, "{}: expected a permutation of 256 numbers, found {}", where, values.size());
  ByteTable table{};
  std::array<int, 256> at;
  at.fill(-1);
  for (size_t i = 0; i < 256; ++i) {
    FT_REQUIRE(values[i] >= 0 && values[i] <= 255, "{}: expected a permutation of 0..255, found {} at {}", where, values[i], i);
    table[i] = static_cast<uint8_t>(values[i]);
    int& first = at[table[i]];
    FT_REQUIRE(first < 0, "{}: expected a permutation of 0..255, found {} at {} and at {}", where, values[i], first, i);
    first = static_cast<int>(i);
  }
  return table;
}

ByteTable read_table(const Json& json, std::string_view where) {
  FT_REQUIRE(json.is_array(), "{}: expected a list of 256 numbers, found {}", where, shown(json));
  std::vector<int64_t> values;
  for (const Json& value : json) {
    FT_REQUIRE(value.is_number_integer() && value >= 0 && value <= 255, "{}: expected a permutation of 0..255, found {} at {}", where, shown(value), values.size());
    values.push_back(value.get<int64_t>());
  }
  return table_of(values, where);
}

// What is wrong, or "".
std::string fault_of(const ByteTransforms& transforms) {
  if (const auto& reorder = transforms.reorder) {
    if (reorder->stride < 1 || reorder->stride > kMaxLength) return fmt::format("a stride of {}: expected 1 to {}", reorder->stride, kMaxLength);
    if (reorder->window < 1 || reorder->window > kMaxWindow) return fmt::format("a window of {} bytes: expected 1 to {}", reorder->window, kMaxWindow);
  }
  if (const auto& keep = transforms.keep) {
    if (!(keep->fraction > 0 && keep->fraction <= 1)) return fmt::format("a kept fraction of {}: expected more than 0 and at most 1", keep->fraction);
    if (keep->length < 0 || keep->length > kMaxLength) return fmt::format("a mask for {} bytes: expected at most {}", keep->length, kMaxLength);
  }
  if (const auto& noise = transforms.noise) {
    if (noise->lo > noise->hi || noise->lo < -255 || noise->hi > 255) return fmt::format("noise of {}..{}: expected -255 <= lo <= hi <= 255", noise->lo, noise->hi);
  }
  return "";
}

}  // namespace

std::string_view order_name(Order order) { return kOrders[static_cast<size_t>(order)]; }

std::optional<Order> find_order(std::string_view name) {
  const auto found = std::find(std::begin(kOrders), std::end(kOrders), name);
  if (found == std::end(kOrders)) return std::nullopt;
  return static_cast<Order>(found - std::begin(kOrders));
}

Json to_json(const ByteTransforms& transforms) {
  Json json = Json::object();
  if (const auto& reorder = transforms.reorder) {
    Json& out = json["reorder"] = {{"order", order_name(reorder->order)}};
    if (reorder->order == Order::kStride) out["stride"] = reorder->stride;
    if (reorder->order == Order::kWindowShuffle) {
      out["window"] = reorder->window;
      out["redraw_each_batch"] = reorder->redraw_each_batch;
    }
  }
  if (const auto& keep = transforms.keep) {
    json["keep"] = {{"fraction", keep->fraction}, {"seed", keep->seed}};
    if (keep->length > 0) json["keep"]["length"] = keep->length;
  }
  if (const auto& noise = transforms.noise) json["noise"] = {{"lo", noise->lo}, {"hi", noise->hi}};
  if (transforms.phi) json["phi"] = *transforms.phi;
  return json;
}

ByteTransforms transforms_from_json(const Json& json, std::string_view where) {
  const std::string name(where);
  const Reader reader(json, name, {"reorder", "keep", "noise", "phi"});
  ByteTransforms transforms;
  if (reader.has("reorder")) transforms.reorder = read_reorder(Reader(json["reorder"], name + ".reorder", {"order", "stride", "window", "redraw_each_batch"}));
  if (reader.has("keep")) {
    const Reader part(json["keep"], name + ".keep", {"fraction", "seed", "length"});
    Keep& keep = transforms.keep.emplace();
    keep.fraction = part.number("fraction");
    keep.seed = static_cast<uint32_t>(part.integer("seed", 0, UINT32_MAX));
    if (part.has("length")) keep.length = part.integer("length", 1, kMaxLength);
  }
  if (reader.has("noise")) {
    const Reader part(json["noise"], name + ".noise", {"lo", "hi"});
    transforms.noise = {static_cast<int>(part.integer("lo", -255, 255)), static_cast<int>(part.integer("hi", -255, 255))};
  }
  if (reader.has("phi")) transforms.phi = read_table(json["phi"], name + ".phi");
  const std::string fault = fault_of(transforms);
  FT_REQUIRE(fault.empty(), "{}: {}", where, fault);
  return transforms;
}

void validate(const ByteTransforms& transforms) {
  const std::string fault = fault_of(transforms);
  FT_REQUIRE_USAGE(fault.empty(), "byte transforms: {}", fault);
  if (transforms.phi) table_of({transforms.phi->begin(), transforms.phi->end()}, "phi");
}

ByteTable read_phi(const std::filesystem::path& path) {
  const std::string text = read_file(path, kMaxPhiBytes);
  return parse_phi({reinterpret_cast<const uint8_t*>(text.data()), text.size()}, quote_path(path.string()));
}

ByteTable parse_phi(std::span<const uint8_t> bytes, std::string_view name) {
  // As text they take 511 bytes at least.
  if (bytes.size() == 256) return table_of({bytes.begin(), bytes.end()}, name);
  std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const auto skip_blanks = [&] { text.remove_prefix(std::min(text.find_first_not_of(" \t\r\n"), text.size())); };
  skip_blanks();
  const bool bracket = text.starts_with('[');
  if (bracket) text.remove_prefix(1);
  std::vector<int64_t> values;
  while (true) {
    skip_blanks();
    if (text.empty() || text.front() == ']') break;
    int64_t value = 0;
    const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
    FT_REQUIRE(status == std::errc(), "{}: expected 256 bytes, or 256 numbers, found {} after {} numbers", name, quote(text, 20), values.size());
    text.remove_prefix(static_cast<size_t>(end - text.data()));
    values.push_back(value);
    skip_blanks();
    if (text.starts_with(',')) text.remove_prefix(1);
  }
  if (bracket && text.starts_with(']')) {
    text.remove_prefix(1);
    skip_blanks();
  } else {
    FT_REQUIRE(!bracket, "{}: the bracket is not closed", name);
  }
  FT_REQUIRE(text.empty(), "{}: found {} after the numbers", name, quote(text, 20));
  return table_of(values, name);
}

}  // namespace fettle::byteformer
