#!/usr/bin/env bash
# ByteFormer's stem in Fettle against PyTorch on the same LibTorch, alternating in one run: the public module's embedding and Conv1d, the best
# short rewrite (a table and embedding_bag), and two matrix products. Each opponent first checks its values and gradients against Fettle's.
# Prints a Markdown table of medians in ms a file (smallest-largest round), their ratio, and what a forward and backward pass adds to the
# resident set, under glibc's default allocator settings and with memory kept (no mmap, no trim). The step is byteformer-step.sh's.
#   scripts/bench/byteformer_vs_corenet.sh [--corenet DIR] [ROUNDS] [REPEATS] [CASE...]     default 5 rounds of 3 passes of both: tiff jpeg
# --corenet: a checkout of apple/corenet (only its corenet/ folder is read) whose own module is then the opponent; without it the same two
# layers of PyTorch. PRECISIONS="fp32 bf16", MALLOCS="default kept", BATCH=2, PYTHON= an interpreter with torch 2.11 and safetensors.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
corenet=-
if [ "${1:-}" = --corenet ]; then
  corenet=$(cd "$2" && pwd)
  [ -d "$corenet/corenet/modeling" ] || { echo "byteformer_vs_corenet: --corenet $2: expected a folder that holds corenet/modeling" >&2; exit 2; }
  shift 2
fi
rounds=${1:-5} repeats=${2:-3}
cases=${*:3}
python=${PYTHON:-$("$here/python.sh")}
(cd "$root" && cmake --preset release >/dev/null && cmake --build --preset release --target bench-byteformer-stem >/dev/null)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bench=$root/build/release/bin/bench-byteformer-stem
printf 'commit %s, %s, %s threads, batch %s\n\n' "$(git -C "$root" rev-parse --short=12 HEAD)" "$(lscpu | sed -n 's/^Model name: *//p' | head -n 1)" "$(nproc)" "${BATCH:-2}"
printf '| stem | pass | Fettle, ms a file | against | PyTorch, ms a file | PyTorch / Fettle | peak, MiB a file |\n|---|---|---|---|---|---|---|\n'
while read -r name bytes kernel; do
  [[ -z $cases || " $cases " == *" $name "* ]] || continue
  for precision in ${PRECISIONS:-fp32 bf16}; do
    for malloc in ${MALLOCS:-default kept}; do
      settings=()
      [ "$malloc" = default ] || settings=(MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=17179869184 MALLOC_TOP_PAD_=67108864)
      : >"$work/rounds"
      for ((round = 0; round < rounds; ++round)); do
        printf 'fettle %s\n' "$(env "${settings[@]}" "$bench" "$bytes" "$kernel" "${BATCH:-2}" "$precision" $((5 * repeats)) "$work/start")" >>"$work/rounds"
        for version in published products table; do
          printf '%s %s\n' $version "$(env "${settings[@]}" "$python" "$here/byteformer_vs_corenet.py" time $version "$precision" "$repeats" "$work/start" "$kernel" "$corenet")" >>"$work/rounds"
        done
      done
      "$python" "$here/byteformer_vs_corenet.py" report "$name, k $kernel, $precision, malloc $malloc" "${BATCH:-2}" "$work/rounds"
    done
  done
done <<'CASES'
tiff 150668 32
jpeg 48564 8
CASES
