#pragma once
// Which build this is; recorded in every artifact.

namespace fettle {

struct BuildInfo {
  const char* version;  // "0.1.0"
  const char* commit;   // 12 hex digits, or "unknown" outside a git checkout
  bool dirty;           // tracked files differed from the commit
};

BuildInfo build_info();

}  // namespace fettle
