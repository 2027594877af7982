#!/usr/bin/env bash
# Training steps of Fettle against the same steps in eager PyTorch on the same LibTorch: both sides start from the same weights
# and batch, their losses are compared, then they are timed alternately, under glibc's default allocator settings and with
# memory kept (no mmap, no trim). Prints a Markdown table of medians in ms a step (smallest-largest round), of the ratio, and of
# the ratio between the fastest steps.
#   scripts/bench/train-step.sh [ROUNDS] [STEPS]      default 5 rounds of 8 timed steps; a quiet machine takes ten minutes
# The first run makes a virtual environment with torch 2.11.0 and safetensors in ~/.cache/fettle/bench-venv.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
rounds=${1:-5} steps=${2:-8}
python=$("$here/python.sh")
(cd "$root" && cmake --preset release >/dev/null && cmake --build --preset release --target bench-train-step >/dev/null)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bench=$root/build/release/bin/bench-train-step
printf 'commit %s, %s, %s threads\n\n' "$(git -C "$root" rev-parse --short=12 HEAD)" "$(lscpu | sed -n 's/^Model name: *//p' | head -n 1)" "$(nproc)"
printf '| step | Fettle, ms | PyTorch, ms | ratio | of the fastest steps |\n|---|---|---|---|---|\n'
precisions="fp32"
grep -qE 'avx512_bf16|amx_bf16' /proc/cpuinfo && precisions="fp32 bf16"
for case in "resnet20 28 1" "resnet18 32 3"; do
  for precision in $precisions; do
    for malloc in default kept; do
      settings=()
      [ $malloc = default ] || settings=(MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=17179869184 MALLOC_TOP_PAD_=67108864)
      : >"$work/rounds"
      for ((round = 0; round < rounds; ++round)); do
        # shellcheck disable=SC2086
        printf 'cpp %s\n' "$(env "${settings[@]}" "$bench" $case 128 $precision "$steps" "$work/start")" >>"$work/rounds"
        # shellcheck disable=SC2086
        printf 'python %s\n' "$(env "${settings[@]}" "$python" "$here/train_step.py" $case 128 $precision "$steps" "$work/start")" >>"$work/rounds"
      done
      "$python" "$here/train_step_report.py" "${case% *} px x 128, $precision, malloc $malloc" "$work/rounds"
    done
  done
done
