#!/usr/bin/env bash
# Pixel operations of Fettle against Pillow, as torchvision.transforms.functional calls it and called directly, the faster of the
# two counting: one image, one core. Both sides work on the same pixels; their results are compared first (equal, but for the
# blur, whose float sums may differ by one level), then they are timed alternately, by the thread's CPU time. Prints a Markdown
# table of medians in microseconds (smallest-largest round) and of the ratio: below 1 Fettle is faster.
#   scripts/bench/pixel-ops.sh [ROUNDS] [SAMPLES]      default 5 rounds of 9 samples of 2 ms; takes about three minutes
# The virtual environment is scripts/bench/python.sh's, with torchvision and Pillow 13.0.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
rounds=${1:-5} samples=${2:-9}
python=$("$here/python.sh" torchvision==0.26.0 pillow==13.0.0)
(cd "$root" && cmake --preset release >/dev/null && cmake --build --preset release --target bench-augment >/dev/null)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bench=$root/build/release/bin/bench-augment
printf 'commit %s, %s, %s\n\n' "$(git -C "$root" rev-parse --short=12 HEAD)" "$(lscpu | sed -n 's/^Model name: *//p' | head -n 1)" \
  "$("$python" -c 'import PIL, torchvision; print(f"Pillow {PIL.__version__}, torchvision {torchvision.__version__}")')"
printf '| operation, image | Fettle, us | Pillow, us | ratio |\n|---|---|---|---|\n'
for size in "224 224" "384 512"; do
  : >"$work/rounds"
  for ((round = 0; round < rounds; ++round)); do
    # shellcheck disable=SC2086
    printf 'cpp %s\n' "$("$bench" $size "$samples" "$work/images")" >>"$work/rounds"
    # shellcheck disable=SC2086
    printf 'python %s\n' "$("$python" "$here/pixel_ops.py" time $size "$samples" "$work/images")" >>"$work/rounds"
  done
  "$python" "$here/pixel_ops.py" report "${size/ / x }" "$work/rounds"
done
