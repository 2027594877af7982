#!/usr/bin/env bash
# From the command to the end of the first training step on a folder of many photographs, file cache warm: finding the files, the
# classes and their identity, the network, the first batch. Copies of one photograph in 100 classes; the step is one of resnet18 on
# 8 images of 32 px.
#   scripts/bench/start.sh PHOTO [FILES] [ROUNDS]      50,000 files; 7 rounds
# Prints Markdown: seconds, median (smallest-largest).
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
[ $# -ge 1 ] || { sed -n '2,7s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 2; }
photo=$(realpath "$1") files=${2:-50000} rounds=${3:-7}
(cd "$root" && cmake --preset release >/dev/null && cmake --build --preset release --target multiscale-train >/dev/null)
tool=$root/build/release/bin/multiscale-train
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for class in $(seq -w 0 99); do
  mkdir -p "$work/photos/$class"
  # shellcheck disable=SC2016
  (cd "$work/photos/$class" && seq -f "%06.0f.jpg" $((files / 100)) | xargs -n 500 sh -c 'tee "$@" <"$0" >/dev/null' "$photo")
done
run() { # seconds on stdout
  rm -rf "$work/run"
  local begin end
  begin=$(date +%s.%N)
  "$tool" --data "$work/photos" --val-fraction 0.1 --arch resnet18 --sampler ssc-fbs --size 32 --batch-size 8 --epochs 1 --out "$work/run" --save-every 1 -q >/dev/null 2>&1 &
  # A step is over when its state is saved.
  until [ -d "$work/run/state/step-00000001" ]; do sleep 0.01; done
  end=$(date +%s.%N)
  kill -9 $!
  wait $! 2>/dev/null || true
  echo "$begin $end" | awk '{ printf "%.2f\n", $2 - $1 }'
}
run >/dev/null
for ((round = 0; round < rounds; ++round)); do run; done | sort -n >"$work/seconds"
printf 'commit %s, %s, %s files\n\n' "$(git -C "$root" rev-parse --short=12 HEAD)" "$(lscpu | sed -n 's/^Model name: *//p' | head -n 1)" "$files"
awk '{ s[NR] = $1 } END { printf "start to first step: %.2f s (%.2f-%.2f)\n", s[int((NR + 1) / 2)], s[1], s[NR] }' "$work/seconds"
