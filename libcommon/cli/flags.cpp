#include "cli/flags.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "artifact/manifest.h"
#include "base/errors.h"
#include "base/text.h"
#include "io/file.h"

namespace fettle {
namespace {

template <typename... Cases>
struct Overloaded : Cases... {
  using Cases::operator()...;
};
template <typename... Cases>
Overloaded(Cases...) -> Overloaded<Cases...>;  // clang 14 does not deduce it by itself

std::string to_key(std::string name) {
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

[[noreturn]] void wrong(const std::string& where, const std::string& expected, const std::string& found) {
  FT_FAIL(ExitCode::kUsage, "{}: expected {}, found {}", where, expected, found);
}

constexpr uint64_t kMaxJsonFile = 1 << 20;

// The object's canonical text. What is wrong in the text is the command line's fault, in the file the file's.
std::string json_object_text(const std::string& text, const std::string& where) {
  if (text.empty()) return text;
  const std::string expected = "a JSON object, or the path of a .json file that holds one";
  if (text.ends_with(".json")) {
    const Json json = parse_json(read_file(text, kMaxJsonFile), text);
    FT_REQUIRE(json.is_object(), "{}: expected a JSON object, found {}", text, json.type_name());
    return json.dump();
  }
  Json json;
  try {
    json = parse_json(text, where);
  } catch (const Error&) {
    wrong(where, expected, text);
  }
  if (!json.is_object()) wrong(where, expected, text);
  return json.dump();
}

std::string quoted(const std::string& text) { return "'" + text + "'"; }

template <typename Number>
std::optional<Number> parse_number(std::string_view text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::string number_text(double value) { return fmt::format("{}", value); }

}  // namespace

Flag::Flag(std::string name, Target target, std::string help, std::string group)
    : name_(std::move(name)), key_(to_key(name_)), help_(std::move(help)), group_(std::move(group)), target_(target) {
  const Json initial = value();
  if (initial.is_null() || (initial.is_array() && initial.empty())) return;
  initial_ = initial.is_string() ? initial.get<std::string>() : initial.dump();
  if (initial.is_array()) std::erase_if(initial_, [](char c) { return c == '[' || c == ']'; });
}

Flag& Flag::range(double min, double max) {
  min_ = min;
  max_ = max;
  return *this;
}
Flag& Flag::above(double min) {
  min_ = min;
  min_excluded_ = true;
  return *this;
}
Flag& Flag::choices(std::vector<std::string> values) {
  choices_ = std::move(values);
  return *this;
}
Flag& Flag::metavar(std::string text) {
  metavar_ = std::move(text);
  return *this;
}
Flag& Flag::unit(std::string text) {
  unit_ = std::move(text);
  return *this;
}
Flag& Flag::short_name(char letter) {
  short_ = letter;
  return *this;
}
Flag& Flag::input(std::string role) {
  input_role_ = std::move(role);
  return *this;
}
Flag& Flag::not_recorded() {
  recorded_ = false;
  return *this;
}
Flag& Flag::common() {
  common_ = true;
  return *this;
}
Flag& Flag::json_object() {
  json_object_ = true;
  return *this;
}
Flag& Flag::many() {
  FT_CHECK(repeats(), "--{} is no list of text", name_);
  many_ = true;
  return *this;
}

Flag& Flag::preset(std::string value, Json settings) {
  FT_CHECK(std::holds_alternative<std::string*>(target_));
  presets_.emplace(std::move(value), std::move(settings));
  return *this;
}

Flag& Flag::listing(std::function<std::string()> text) {
  listing_ = std::move(text);
  return *this;
}
Flag& Flag::default_text(std::string text) {
  default_text_ = std::move(text);
  return *this;
}

Json Flag::value() const {
  return std::visit(Overloaded{[](const std::optional<int64_t>* v) { return v->has_value() ? Json(**v) : Json(nullptr); },
                               [](const std::optional<double>* v) { return v->has_value() ? Json(**v) : Json(nullptr); },
                               [](const auto* v) { return Json(*v); }},
                    target_);
}

void Flag::set_switch(bool on) { *std::get<bool*>(target_) = on; }

void Flag::set_json(const Json& value, const std::string& where) {
  const auto bad = [&]() { wrong(where, type_text(), value.dump(-1, ' ', true, Json::error_handler_t::replace).substr(0, 60)); };
  const auto integer = [&](const Json& v) -> int64_t {
    // 1e3 and 3.0 are whole numbers too: JSON does not tell them apart.
    if (v.is_number_integer() && !(v.is_number_unsigned() && v.get<uint64_t>() > static_cast<uint64_t>(INT64_MAX))) return v.get<int64_t>();
    if (v.is_number_float() && v.get<double>() == std::floor(v.get<double>()) && std::abs(v.get<double>()) < 9e15)
      return static_cast<int64_t>(v.get<double>());
    bad();
    return 0;
  };
  const auto real = [&](const Json& v) -> double {
    if (!v.is_number()) bad();
    return v.get<double>();
  };
  const auto array = [&]() {
    if (!value.is_array()) bad();
  };
  std::visit(Overloaded{[&](bool* v) {
                          if (!value.is_boolean()) bad();
                          *v = value.get<bool>();
                        },
                        [&](int64_t* v) { *v = integer(value); }, [&](double* v) { *v = real(value); },
                        [&](std::string* v) {
                          if (!value.is_string()) bad();
                          *v = value.get<std::string>();
                          if (json_object_) *v = json_object_text(*v, where);
                        },
                        [&](std::optional<int64_t>* v) { value.is_null() ? v->reset() : (void)(*v = integer(value)); },
                        [&](std::optional<double>* v) { value.is_null() ? v->reset() : (void)(*v = real(value)); },
                        [&](std::vector<int64_t>* v) {
                          array();
                          v->clear();
                          for (const Json& element : value) v->push_back(integer(element));
                        },
                        [&](std::vector<std::string>* v) {
                          array();
                          v->clear();
                          for (const Json& element : value) {
                            if (!element.is_string()) bad();
                            v->push_back(element.get<std::string>());
                          }
                        }},
             target_);
  check(where);
}

void Flag::set_text(const std::vector<std::string>& values, const std::string& where) {
  FT_CHECK(!values.empty());
  const std::string& text = values.front();
  // Paths are bytes, but what is recorded is JSON: better to say so before the work than to fail at its end.
  for (const std::string& value : values) {
    if (!is_utf8(value)) wrong(where, "text in UTF-8", quote(value));
  }
  const auto integer = [&](std::string_view t) -> int64_t {
    const auto number = parse_number<int64_t>(t);
    if (!number) wrong(where, type_text(), quoted(std::string(t)));
    return *number;
  };
  const auto real = [&](std::string_view t) -> double {
    const auto number = parse_number<double>(t);
    if (!number || !std::isfinite(*number)) wrong(where, type_text(), quoted(std::string(t)));
    return *number;
  };
  std::visit(Overloaded{[&](bool* v) {
                          if (text != "true" && text != "false") wrong(where, "true or false", quoted(text));
                          *v = text == "true";
                        },
                        [&](int64_t* v) { *v = integer(text); }, [&](double* v) { *v = real(text); }, [&](std::string* v) { *v = json_object_ ? json_object_text(text, where) : text; },
                        [&](std::optional<int64_t>* v) { *v = integer(text); }, [&](std::optional<double>* v) { *v = real(text); },
                        [&](std::vector<int64_t>* v) {
                          v->clear();
                          for (const std::string& part : split(text, ',')) v->push_back(integer(part));
                        },
                        [&](std::vector<std::string>* v) { *v = values; }},
             target_);
  check(where);
}

void Flag::check(const std::string& where) const {
  const auto number = [&](double v) {
    if (v < min_ || v > max_ || (min_excluded_ && v == min_) || std::isnan(v)) wrong(where, type_text(), number_text(v));
  };
  const auto word = [&](const std::string& v) {
    if (choices_.empty() || std::find(choices_.begin(), choices_.end(), v) != choices_.end()) return;
    const std::string near = nearest_word(v, choices_);
    wrong(where, type_text(), quoted(v) + (near.empty() ? "" : " (did you mean '" + near + "'?)"));
  };
  std::visit(Overloaded{[](const bool*) {}, [&](const int64_t* v) { number(static_cast<double>(*v)); }, [&](const double* v) { number(*v); },
                        [&](const std::string* v) { word(*v); },
                        [&](const std::optional<int64_t>* v) {
                          if (*v) number(static_cast<double>(**v));
                        },
                        [&](const std::optional<double>* v) {
                          if (*v) number(**v);
                        },
                        [&](const std::vector<int64_t>* v) {
                          for (const int64_t element : *v) number(static_cast<double>(element));
                        },
                        [&](const std::vector<std::string>* v) {
                          for (const std::string& element : *v) word(element);
                        }},
             target_);
}

std::string Flag::type_text() const {
  const auto bounds = [&](const std::string& what) {
    std::string text = what;
    if (std::isfinite(min_)) text += (min_excluded_ ? " > " : " >= ") + number_text(min_);
    if (std::isfinite(max_)) text += (std::isfinite(min_) ? " and <= " : " <= ") + number_text(max_);
    return text;
  };
  if (!choices_.empty()) return "one of: " + join(choices_, ", ");
  return std::visit(
      Overloaded{[](const bool*) { return std::string("true or false"); }, [&](const int64_t*) { return bounds("a whole number"); },
                 [&](const double*) { return bounds("a number"); }, [](const std::string*) { return std::string("text"); },
                 [&](const std::optional<int64_t>*) { return bounds("a whole number"); },
                 [&](const std::optional<double>*) { return bounds("a number"); },
                 [&](const std::vector<int64_t>*) { return "a list of numbers, each " + bounds("whole"); },
                 [](const std::vector<std::string>*) { return std::string("a list of texts"); }},
      target_);
}

std::string Flag::metavar_text() const {
  if (!choices_.empty()) return join(choices_, "|");
  if (!metavar_.empty()) return metavar_;
  return std::visit(Overloaded{[](const bool*) { return ""; }, [](const int64_t*) { return "N"; }, [](const std::optional<int64_t>*) { return "N"; },
                               [](const double*) { return "X"; }, [](const std::optional<double>*) { return "X"; },
                               [](const std::string*) { return "TEXT"; }, [](const std::vector<int64_t>*) { return "N,N,..."; },
                               [](const std::vector<std::string>*) { return "TEXT"; }},
                    target_);
}

std::string Flag::default_shown() const {
  const std::string text = default_text_.empty() ? initial_ : default_text_;
  return text.empty() || unit_.empty() || !default_text_.empty() ? text : text + " " + unit_;
}

Flag& FlagTable::add(Flag flag) {
  FT_CHECK(find(flag.name()) == nullptr, "flag --{} is bound twice", flag.name());
  flags_.push_back(std::move(flag));
  return flags_.back();
}

void FlagTable::positional(std::string name, std::vector<std::string>& values, std::string help, size_t min, size_t max,
                           std::vector<std::string> choices) {
  positionals_.push_back({std::move(name), &values, std::move(help), std::move(choices), min, max});
}

Flag* FlagTable::find(std::string_view name) {
  const auto found = std::find_if(flags_.begin(), flags_.end(), [&](const Flag& flag) { return flag.name() == name; });
  return found == flags_.end() ? nullptr : &*found;
}

bool FlagTable::given(std::string_view name) const {
  return std::any_of(given_.begin(), given_.end(), [&](const Given& g) { return g.name == name; });
}

// A value that the flag has already changes nothing: what was said since then goes before it.
void FlagTable::apply_preset(Flag& flag, const std::string& value) {
  const auto preset = flag.presets().find(value);
  if (preset != flag.presets().end() && flag.value() != value) apply_config(preset->second, fmt::format("--{} {}", flag.name(), value));
}

void FlagTable::apply_command_line() {
  for (const Given& g : given_) {
    Flag& flag = *find(g.name);
    if (!flag.presets().empty() && !g.values.empty()) apply_preset(flag, g.values.back());
  }
  for (const Given& g : given_) {
    Flag& flag = *find(g.name);
    if (flag.is_switch()) {
      flag.set_switch(g.on);
    } else {
      flag.set_text(g.values, "--" + g.name);
    }
  }
}

void FlagTable::apply_config(const Json& object, const std::string& file) {
  FT_REQUIRE_USAGE(object.is_object(), "{}: expected a JSON object with the flags' keys, found {}", file, object.type_name());
  for (Flag& flag : flags_) {
    const auto value = object.find(flag.key());
    if (!flag.presets().empty() && value != object.end() && value->is_string()) apply_preset(flag, value->get<std::string>());
  }
  for (const auto& [key, value] : object.items()) {
    const auto found = std::find_if(flags_.begin(), flags_.end(), [&, k = key](const Flag& flag) { return flag.key() == k && flag.replayed(); });
    if (found == flags_.end()) {
      std::vector<std::string> keys;
      for (const Flag& flag : flags_) {
        if (flag.replayed()) keys.push_back(flag.key());
      }
      const std::string near = nearest_word(key, keys);
      FT_FAIL(ExitCode::kUsage, "{}: unknown key '{}'{}", file, key, near.empty() ? "" : "; the nearest known key is '" + near + "'");
    }
    found->set_json(value, fmt::format("'{}' in {}", key, file));
  }
}

Json FlagTable::recorded_options() const {
  Json object = Json::object();
  for (const Flag& flag : flags_) {
    if (flag.recorded()) object[flag.key()] = flag.value();
  }
  return object;
}

Json FlagTable::input_paths() const {
  Json object = Json::object();
  for (const Flag& flag : flags_) {
    if (!flag.input_role().empty()) object[flag.key()] = flag.value();
  }
  return object;
}

Json FlagTable::config() const {
  Json object = Json::object();
  for (const Flag& flag : flags_) {
    if (flag.replayed()) object[flag.key()] = flag.value();
  }
  return object;
}

}  // namespace fettle
