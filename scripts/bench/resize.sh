#!/usr/bin/env bash
# Resizing, and the way from a decoded photograph to a network's input (crop, resize, flip, normalise), against Pillow and
# torchvision on the same pixels, one thread, both sides alternating. Prints a Markdown table: medians over rounds of each
# round's best in ms (smallest-largest) and the ratio to the fastest of Python's ways; says whether Pillow's pixels are met.
#   scripts/bench/resize.sh [PHOTO] [ROUNDS]      a photograph of at least 384 x 512; default: noise; 7 rounds
# The virtual environment is scripts/bench/python.sh's, with torchvision.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
photo=${1:-} rounds=${2:-7}
python=$("$here/python.sh" torchvision==0.26.0)
(cd "$root" && cmake --preset release >/dev/null && cmake --build --preset release --target bench-resize >/dev/null)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$python" "$here/resize.py" image "$work/image" "$photo"
printf 'commit %s, %s\n\n' "$(git -C "$root" rev-parse --short=12 HEAD)" "$(lscpu | sed -n 's/^Model name: *//p' | head -n 1)"
for ((round = 0; round < rounds; ++round)); do
  "$root/build/release/bin/bench-resize" 1 "$work/image" >>"$work/fettle"
  "$python" "$here/resize.py" time "$work/image" >>"$work/python"
done
"$python" "$here/resize.py" report "$work/fettle" "$work/python"
