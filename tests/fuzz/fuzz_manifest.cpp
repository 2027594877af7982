#include "artifact/manifest.h"
#include "tests/fuzz/fuzz.h"

using namespace fettle;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  return fuzz::expect_answer(data, size, [](std::span<const uint8_t> bytes) {
    const Manifest manifest = parse_manifest({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, "fuzz");
    for (const ArtifactFile& file : manifest.files) fuzz::demand(stays_inside(file.path), "files lie in the artifact");
    const std::string again = to_json(manifest).dump();
    fuzz::demand(manifest_id(parse_manifest(again, "again")) == manifest_id(manifest), "what is written again has the same id");
  });
}
