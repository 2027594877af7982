#!/usr/bin/env bash
# Training steps of Fettle against the same steps in eager PyTorch on the same LibTorch: both sides start from the same weights
# and batch, their losses are compared, then they are timed alternately, under glibc's default allocator settings and with
# memory kept (no mmap, no trim). Prints a Markdown table of medians in ms a step (smallest-largest round), of the ratio, and of
# the ratio between the fastest steps.
#   scripts/bench/train-step.sh [ROUNDS] [STEPS] [ARCH...]      default 5 rounds of 8 timed steps (of 2 at 224 px) of all five: an hour
# Peak memory is of the whole process, Python and its libraries included. The first run makes a virtual environment with torch 2.11.0,
# torchvision, timm and safetensors in ~/.cache/fettle/bench-venv.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
rounds=${1:-5} small_steps=${2:-8}
archs=${*:3}
python=$("$here/python.sh" torchvision==0.26.0 timm)
(cd "$root" && cmake --preset release >/dev/null && cmake --build --preset release --target bench-train-step >/dev/null)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bench=$root/build/release/bin/bench-train-step
printf 'commit %s, %s, %s threads\n\n' "$(git -C "$root" rev-parse --short=12 HEAD)" "$(lscpu | sed -n 's/^Model name: *//p' | head -n 1)" "$(nproc)"
printf '| step | Fettle, ms | PyTorch, ms | ratio | of the fastest steps | peak, GiB |\n|---|---|---|---|---|---|\n'
precisions="fp32"
grep -qE 'avx512_bf16|amx_bf16' /proc/cpuinfo && precisions="fp32 bf16"
for case in "resnet20 32 3 128" "resnet18 32 3 128" "resnet50 224 3 16" "mobilenet_v2 224 3 16" "vit_tiny_patch16_224 224 3 16"; do
  arch=${case%% *} batch=${case##* } steps=$small_steps
  [ "$batch" = 128 ] || steps=$(((small_steps + 3) / 4))
  [[ -z $archs || " $archs " == *" $arch "* ]] || continue
  for precision in $precisions; do
    for malloc in default kept; do
      settings=()
      [ $malloc = default ] || settings=(MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=17179869184 MALLOC_TOP_PAD_=67108864)
      : >"$work/rounds"
      for ((round = 0; round < rounds; ++round)); do
        # shellcheck disable=SC2086
        printf 'cpp %s\n' "$(env "${settings[@]}" "$bench" $case $precision "$steps" "$work/start")" >>"$work/rounds"
        # shellcheck disable=SC2086
        printf 'python %s\n' "$(env "${settings[@]}" "$python" "$here/train_step.py" $case $precision "$steps" "$work/start")" >>"$work/rounds"
      done
      "$python" "$here/train_step_report.py" "$arch, batch $batch, $precision, malloc $malloc" "$work/rounds"
    done
  done
done
