#include "kernels/support/isa.h"

#include <cstdlib>
#include <cstring>
#include <initializer_list>

namespace fettle::kernels {

const char* isa_name(Isa isa) {
  switch (isa) {
    case Isa::kBaseline: return "baseline";
    case Isa::kAvx2: return "avx2";
    case Isa::kAvx512: return "avx512";
  }
  return "unknown";
}

Isa cpu_isa() {
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
  return avx512 ? Isa::kAvx512 : avx2 ? Isa::kAvx2 : Isa::kBaseline;
}

Status choose_isa(const char* requested, Isa widest, Isa* chosen) {
  *chosen = widest;
  if (requested == nullptr || *requested == '\0') return Status::kOk;
  for (const Isa isa : {Isa::kBaseline, Isa::kAvx2, Isa::kAvx512}) {
    if (std::strcmp(requested, isa_name(isa)) != 0) continue;
    if (isa > widest) return Status::kNoInstructionSet;
    *chosen = isa;
    return Status::kOk;
  }
  return Status::kNoInstructionSet;
}

Status active_isa(Isa* chosen) {
  struct Choice {
    Isa isa;
    Status status;
  };
  static const Choice choice = [] {
    Choice made{};
    made.status = choose_isa(std::getenv("FETTLE_ISA"), cpu_isa(), &made.isa);
    return made;
  }();
  *chosen = choice.isa;
  return choice.status;
}

}  // namespace fettle::kernels
