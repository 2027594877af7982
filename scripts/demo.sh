#!/usr/bin/env bash
# Sets up, builds what it runs, trains ResNet-20 on Fashion-MNIST twice for two epochs - with variable-batch multi-scale
# sampling and at one fixed size - and shows side by side what the sampler bought. From nothing, on two cores: setup about a
# minute, build about four, training four (bf16 instructions) to ten (AVX2).
#   scripts/demo.sh [FOLDER]      where the two runs and the picture go; default runs/demo below the current folder
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")
out=${1:-runs/demo}
started=$SECONDS

"$here/setup.sh"
say() { printf 'demo: %s\n' "$*" >&2; }

begin=$SECONDS
log=$(mktemp)
trap 'rm -f "$log"' EXIT
say "building multiscale-train, evaluate-model and inspect-artifact (a few minutes the first time)"
(cd "$root" && cmake --preset release -DFETTLE_TESTS=ON && cmake --build --preset release --target multiscale-train evaluate-model inspect-artifact) >"$log" 2>&1 ||
  { tail -n 30 "$log" >&2; say "the build failed; all of it: cmake --build --preset release"; exit 4; }
say "built in $((SECONDS - begin)) s"
bin=$root/build/release/bin

recipe=(--data fashion-mnist --arch resnet20 --size 28 --size-multiple 4 --batch-size 128 --epochs 2 --seed 1
        --eval-sizes 16,20,24,28,32,36,40)
"$bin/multiscale-train" "${recipe[@]}" --sampler msc-vbs --sizes 16:40:5 --out "$out/variable" --resume >/dev/null
"$bin/multiscale-train" "${recipe[@]}" --sampler ssc-fbs --out "$out/fixed" --resume >/dev/null
"$bin/inspect-artifact" verify "$out/variable" "$out/fixed" >/dev/null
picture=$("$bin/inspect-artifact" plot "$out/fixed" "$out/variable" --out "$out/demo.svg" --overwrite)
printf '\n' >&2
"$bin/inspect-artifact" compare "$out/fixed" "$out/variable" >&2
say "took $((SECONDS - started)) s in all; the picture:"
printf '%s\n' "$picture"
