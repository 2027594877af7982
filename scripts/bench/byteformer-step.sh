#!/usr/bin/env bash
# Training steps of ByteFormer (forward, loss, backward, fused AdamW) in Fettle against the same mathematics in eager PyTorch on the same
# LibTorch (byteformer_step.py: as the public code is written, and the best short rewrite): all start from the same weights and bytes, their
# losses are compared, then they are timed in turn. Prints a Markdown table of medians in ms a step (smallest-largest round), of the ratio
# to ours, and of peak memory of the whole processes.
#   scripts/bench/byteformer-step.sh [ROUNDS] [STEPS] [CASE...]      default 3 rounds of 2 timed steps of all: tiff k8 short4 short8
# MALLOC=default|kept: glibc's settings of both sides (default: kept, no mmap and no trim, as our tools run). PRECISIONS="fp32 bf16".
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
rounds=${1:-3} steps=${2:-2}
cases=${*:3}
python=${PYTHON:-$("$here/python.sh")}
(cd "$root" && cmake --preset release >/dev/null && cmake --build --preset release --target bench-byteformer-step >/dev/null)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bench=$root/build/release/bin/bench-byteformer-step
settings=()
[ "${MALLOC:-kept}" = default ] || settings=(MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=17179869184 MALLOC_TOP_PAD_=67108864)
printf 'commit %s, %s, %s threads, malloc %s\n\n' "$(git -C "$root" rev-parse --short=12 HEAD)" "$(lscpu | sed -n 's/^Model name: *//p' | head -n 1)" "$(nproc)" "${MALLOC:-kept}"
printf '| step | Fettle, ms | against | PyTorch, ms | PyTorch / Fettle | of the fastest steps | peak, GiB |\n|---|---|---|---|---|---|---|\n'
# name, bytes, kernel, window, batch
while read -r name bytes kernel window batch; do
  [[ -z $cases || " $cases " == *" $name "* ]] || continue
  for precision in ${PRECISIONS:-fp32 bf16}; do
    arguments=(bf_tiny "$bytes" "$kernel" "$window" "$batch" "$precision" "$steps")
    : >"$work/rounds"
    for ((round = 0; round < rounds; ++round)); do
      printf 'cpp %s\n' "$(env "${settings[@]}" "$bench" "${arguments[@]}" whole "$work/start")" >>"$work/rounds"
      for version in published rewritten; do
        printf '%s %s\n' $version "$(env "${settings[@]}" "$python" "$here/byteformer_step.py" "${arguments[@]}" $version "$work/start")" >>"$work/rounds"
      done
    done
    "$python" "$here/byteformer_step_report.py" "$name: $batch x $bytes bytes, k $kernel, W $window, $precision" "$work/rounds"
  done
done <<'CASES'
tiff 150668:150668 32 128 2
k8 40000:40000 8 128 2
short4 700:1100 4 128 128
short8 700:1100 8 128 128
CASES
