#pragma once
// A trained ByteFormer with all that belongs to it.

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "bytes/byte_input.h"
#include "models/byteformer.h"

namespace fettle::byteformer {

inline constexpr const char* kByteClassifierKind = "byte-classifier";

struct ByteClassifier {
  std::shared_ptr<ByteFormer> model;  // in evaluation mode, fp32, on the CPU
  Input input;
  std::vector<std::string> class_names;  // one a class, or empty
  std::string id;                        // "sha256:..." of the artifact, or of the file
};

// What an artifact's manifest says of its model, and back. `from` may also be one of its weight files (model_best.safetensors). Errors (kInput):
// another kind, damage, weights that are not its own; (kUsage) a secret phi without --phi-file, or a --phi-file that it does not want.
// `positions`: instead of those of its description; "" leaves them.
Json to_json(const ByteFormerDescription& description, const Input& input, const std::vector<std::string>& class_names);
ByteClassifier open_byte_classifier(const std::string& from, const std::string& phi_file, const std::string& positions = "");

}  // namespace fettle::byteformer
