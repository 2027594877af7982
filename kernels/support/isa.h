#pragma once
// Which instruction set the CPU kernels use: the widest that this CPU has, decided at run time by cpuid. All variants of
// a kernel give the same bits unless its header says otherwise. The environment variable FETTLE_ISA asks for a narrower
// one (for tests and comparisons); asking for more than the CPU has is an error, never a quiet step down.

#include "kernels/support/types.h"

namespace fettle::kernels {

enum class Isa : int {
  kBaseline,  // x86-64-v2: SSE4.2, SSSE3, POPCNT; what the whole build requires
  kAvx2,      // AVX2, FMA, F16C
  kAvx512,    // AVX-512 F, BW, VL, DQ
};

const char* isa_name(Isa isa);  // "baseline", "avx2", "avx512": the words of FETTLE_ISA

Isa cpu_isa();  // the widest that the CPU and the operating system have

// What `requested` (FETTLE_ISA's value; null or empty: no wish) means on a CPU with `widest`.
Status choose_isa(const char* requested, Isa widest, Isa* chosen);

// choose_isa(getenv("FETTLE_ISA"), cpu_isa()), decided once a process.
Status active_isa(Isa* chosen);

}  // namespace fettle::kernels
