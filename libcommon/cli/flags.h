#pragma once
// One table of flags from which everything derives: the parser, -h and --help, JSON configuration and record, range
// checks, shell completion. A tool binds each member of its Options struct once; the struct's initial values are the
// defaults. Flags are kebab-case ("batch-size"), their JSON keys snake_case ("batch_size").

#include <cstdint>
#include <deque>
#include <functional>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace fettle {

using Json = nlohmann::json;

class Flag {
 public:
  // Lists of numbers are written 16,20,24; lists of text by repeating the flag. An optional that is unset is JSON null.
  using Target = std::variant<bool*, int64_t*, double*, std::string*, std::optional<int64_t>*, std::optional<double>*, std::vector<int64_t>*,
                              std::vector<std::string>*>;

  Flag(std::string name, Target target, std::string help, std::string group);

  Flag& range(double min, double max = std::numeric_limits<double>::infinity());  // both allowed; for lists, of each value
  Flag& above(double min);                                                        // greater than min
  Flag& choices(std::vector<std::string> values);                                 // text only; `none` among them is a name like others
  Flag& metavar(std::string text);                                                // "DIR"; default from the type
  Flag& unit(std::string text);                                                   // "steps", shown in help
  Flag& short_name(char letter);                                                  // -q
  Flag& input(std::string role);   // names an input: recorded in the manifest's inputs, not in its options
  Flag& not_recorded();            // cannot change the result: verbosity, paths, resume
  Flag& common();                  // shown by -h, not only by --help
  Flag& json_object();             // text only: a JSON object, or the path of a .json file that holds one, whose contents are what is recorded
  Flag& many();                    // lists of text only: takes every value up to the next flag, and may still be repeated
  Flag& listing(std::function<std::string()> text);  // text only: the value "help" prints this, and the tool stops
  // Text only: a value that stands for values of other flags, by key. They hold where nothing else is said: in a configuration's own keys, on
  // the command line.
  Flag& preset(std::string value, Json settings);
  Flag& default_text(std::string text);  // what help says instead of the value, e.g. "drawn"

  const std::string& name() const { return name_; }
  const std::string& key() const { return key_; }
  const std::string& group() const { return group_; }
  const std::string& help() const { return help_; }
  const std::vector<std::string>& choice_list() const { return choices_; }
  const std::string& input_role() const { return input_role_; }
  char short_letter() const { return short_; }
  bool is_switch() const { return std::holds_alternative<bool*>(target_); }
  bool is_path() const { return metavar_ == "DIR" || metavar_ == "FILE" || metavar_ == "PATH"; }
  bool repeats() const { return std::holds_alternative<std::vector<std::string>*>(target_); }
  bool recorded() const { return recorded_ && input_role_.empty(); }
  bool replayed() const { return recorded_; }  // part of --print-config and accepted in a configuration file
  bool shown_short() const { return common_; }
  bool takes_many() const { return many_; }
  const std::function<std::string()>& listing_text() const { return listing_; }
  const std::map<std::string, Json>& presets() const { return presets_; }

  Json value() const;
  // Both throw Error(kUsage) that names the flag or key, what is expected and what was found. `where` reads
  // "--batch-size" or "batch_size in FILE".
  void set_json(const Json& value, const std::string& where);
  void set_text(const std::vector<std::string>& values, const std::string& where);
  void set_switch(bool on);

  std::string type_text() const;     // "a whole number >= 1", "one of: a, b"
  std::string metavar_text() const;  // "N", "DIR", "a|b"
  std::string default_shown() const;

 private:
  void check(const std::string& where) const;

  std::string name_, key_, help_, group_, metavar_, unit_, input_role_, default_text_;
  Target target_;
  std::string initial_;
  double min_ = -std::numeric_limits<double>::infinity();
  double max_ = std::numeric_limits<double>::infinity();
  bool min_excluded_ = false;
  std::vector<std::string> choices_;
  char short_ = '\0';
  bool recorded_ = true;
  bool common_ = false;
  bool many_ = false;
  bool json_object_ = false;
  std::function<std::string()> listing_;
  std::map<std::string, Json> presets_;
};

// A positional argument: `inspect-artifact COMMAND PATH...`.
struct Positional {
  std::string name;  // "PATH"
  std::vector<std::string>* values;
  std::string help;
  std::vector<std::string> choices;  // empty: any
  size_t min = 0, max = 0;
};

class FlagTable {
 public:
  void group(std::string title) { group_ = std::move(title); }

  template <typename T>
  Flag& flag(std::string name, T& target, std::string help) {
    return add(Flag(std::move(name), &target, std::move(help), group_));
  }
  void positional(std::string name, std::vector<std::string>& values, std::string help, size_t min, size_t max,
                  std::vector<std::string> choices = {});

  // Reads the command line. Flags not in the table, values of the wrong type or out of range, and a flag that takes one
  // value given twice are Error(kUsage). `given(flag)` tells afterwards which were there. Values are applied by
  // apply_command_line(), so that a configuration file can come between.
  void parse(int argc, const char* const* argv);
  void apply_command_line();
  bool given(std::string_view name) const;

  // Applies an object of keys; unknown keys are Error(kUsage) with the nearest known key. Keys that were given on the
  // command line are checked and then overridden by it.
  void apply_config(const Json& object, const std::string& file);

  Json recorded_options() const;  // what can change the result
  Json input_paths() const;       // values of flags that name inputs
  Json config() const;            // what --print-config shows and --config accepts: options and inputs

  Flag* find(std::string_view name);
  const std::deque<Flag>& flags() const { return flags_; }
  const std::vector<Positional>& positionals() const { return positionals_; }

 private:
  Flag& add(Flag flag);
  void apply_preset(Flag& flag, const std::string& value);

  std::string group_ = "Options";
  std::deque<Flag> flags_;  // a deque: references that flag() returned stay valid
  std::vector<Positional> positionals_;
  struct Given {
    std::string name;
    std::vector<std::string> values;
    bool on = true;  // switches: false for --no-x
  };
  std::vector<Given> given_;
};

}  // namespace fettle
