#!/usr/bin/env bash
# Training batches from photographs, images a second: Fettle's loader against torchvision's ImageFolder and DataLoader in both of
# its forms (Pillow transforms; decode_jpeg and transforms on tensors), each with its best number of workers, both sides
# alternating; and Fettle's against decoding alone. Once with exact decoding on the photographs given, once on 12-megapixel
# photographs at about 0.8 and 2 bits a pixel, made from them by enlarging and adding noise, with scaled and partial decoding.
#   scripts/bench/loader.sh FOLDER [ROUNDS] [SIZE]      a folder of class folders of JPEG files; 5 rounds; 224 px
# Prints Markdown. The virtual environment is scripts/bench/python.sh's, with torchvision. Twenty minutes on a quiet machine of two cores.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
[ $# -ge 1 ] || { sed -n '2,8s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 2; }
folder=$(realpath "$1") rounds=${2:-5} size=${3:-224}
threads=$(nproc)
python=$("$here/python.sh" torchvision==0.26.0 pillow)
(cd "$root" && cmake --preset release >/dev/null && cmake --build --preset release --target bench-loader >/dev/null)
bench=$root/build/release/bin/bench-loader
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Memory is kept on both sides: tools do it by themselves, Python has to be told.
export MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=17179869184 MALLOC_TOP_PAD_=67108864
printf 'commit %s, %s, %s threads, %s px, %s rounds\n\n' "$(git -C "$root" rev-parse --short=12 HEAD)" "$(lscpu | sed -n 's/^Model name: *//p' | head -n 1)" "$threads" "$size" "$rounds"
printf '| photographs | Fettle, images/s | share of decoding alone | Pillow transforms | tensor transforms | ratio to Pillow | ratio to tensors |\n|---|---|---|---|---|---|---|\n'
compare() { # label folder mode seconds
  "$python" -W ignore "$here/loader.py" best "$2" "$size" "$threads" >"$work/best"
  : >"$work/rounds"
  for ((round = 0; round < rounds; ++round)); do
    "$bench" "$2" "$size" "$threads" "$3" "$4" >>"$work/rounds"
    "$python" -W ignore "$here/loader.py" time "$2" "$size" "$threads" "$work/best" "$4" >>"$work/rounds"
  done
  "$python" "$here/loader.py" report "$1" "$work/rounds"
}
compare "$(basename "$folder"), exact" "$folder" exact 8
for bits in 0.8 2; do
  "$python" "$here/loader.py" enlarge "$folder" "$work/large-$bits" "$bits" 48
  compare "12 megapixels, $bits bits a pixel, scaled" "$work/large-$bits" scaled 8
done
