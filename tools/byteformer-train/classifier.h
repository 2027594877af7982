#pragma once
// A trained network with all that belongs to it, and what it answers.

#include <memory>
#include <string>
#include <vector>

#include "byteformer-train/options.h"
#include "cli/run_tool.h"
#include "models/byteformer.h"

namespace fettle::byteformer {

inline constexpr const char* kArtifactKind = "byte-classifier";

struct Classifier {
  std::shared_ptr<ByteFormer> model;  // in evaluation mode, fp32, on the CPU
  Input input;
  std::vector<std::string> class_names;  // one a class, or empty
  std::string id;                        // "sha256:..." of the artifact
};

// What an artifact's manifest says of its model, and back. Errors (kInput): another kind, damage, weights that are not its own; (kUsage) a
// secret phi without --phi-file, or a --phi-file that it does not want.
Json to_json(const ByteFormerDescription& description, const Input& input, const std::vector<std::string>& class_names);
Classifier open_classifier(const std::string& artifact, const std::string& phi_file);

Report evaluate(const Options& options, RunContext& context);  // --evaluate
Report predict(const Options& options, RunContext& context);   // --predict

}  // namespace fettle::byteformer
