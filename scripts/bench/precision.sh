#!/usr/bin/env bash
# What bf16 gains a training step over fp32 here, network by network: the rows of libcommon/device/precision.cpp. Both precisions alternate;
# prints a Markdown table of medians over the rounds in ms a step, of the ratio, and of peak memory. Needs no Python but for the sums.
#   scripts/bench/precision.sh [ROUNDS] [ARCH...]      default 3 rounds of 3 timed steps, 224 px, batch 16; resnet20 at 32 px, batch 128
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
rounds=${1:-3}
archs=${*:2}
(cd "$root" && cmake --preset release >/dev/null && cmake --build --preset release --target bench-train-step >/dev/null)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
printf 'commit %s, %s, %s threads\n\n' "$(git -C "$root" rev-parse --short=12 HEAD)" "$(lscpu | sed -n 's/^Model name: *//p' | head -n 1)" "$(nproc)"
printf '| network | fp32, ms | bf16, ms | bf16 / fp32 | peak, GiB, fp32 / bf16 |\n|---|---|---|---|---|\n'
for arch in ${archs:-resnet20 resnet18 resnet50 mobilenetv1_100 mobilenet_v2 mobilenet_v3_large efficientnet_b0 swin_t vit_tiny_patch16_224}; do
  shape="224 3 16"
  [ "$arch" != resnet20 ] || shape="32 3 128"
  for ((round = 0; round < rounds; ++round)); do
    for precision in fp32 bf16; do
      # shellcheck disable=SC2086
      printf '%s %s\n' $precision "$(MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=-1 MALLOC_TOP_PAD_=67108864 "$root/build/release/bin/bench-train-step" "$arch" $shape $precision 3 "$work")"
    done
  done | python3 -c '
import json, statistics, sys
precisions = ("fp32", "bf16")
runs = {p: [] for p in precisions}
for line in sys.stdin:
    precision, text = line.split(" ", 1)
    runs[precision].append(json.loads(text))
ms = {p: [statistics.median(r["seconds"]) * 1e3 for r in rs] for p, rs in runs.items()}
show = lambda values: f"{statistics.median(values):.0f} ({min(values):.0f}-{max(values):.0f})"
ratios = [b / a for a, b in zip(ms["fp32"], ms["bf16"])]
gib = {p: max(r["peak_bytes"] for r in rs) / 2**30 for p, rs in runs.items()}
print("| " + sys.argv[1] + " | " + show(ms["fp32"]) + " | " + show(ms["bf16"]) + f" | {statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f}) | {gib[precisions[0]]:.2f} / {gib[precisions[1]]:.2f} |")
' "$arch, ${shape%% *} px, batch ${shape##* }"
done
