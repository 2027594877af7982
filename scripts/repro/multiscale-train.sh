#!/usr/bin/env bash
# What the paper (arXiv 2309.04502) promises of variable-batch multi-scale sampling, with ResNet-20: less compute at the same number of
# epochs, accuracy kept at the base size and better elsewhere, better calibration. On Fashion-MNIST, or with --cifar10 PATH on CIFAR-10 as
# images in class folders (a folder or a .tar(.gz) of train/ and test/), where curricula and fixed batches of varying size come besides.
# With --trashnet WEIGHTS DATA instead: MobileNetV2 from real ImageNet weights, fine-tuned on photographs of rubbish, fixed size against
# variable batch. WEIGHTS is a folder with model.safetensors (torchvision's names, input (pixel - 128) / 128, padding "same", batch norm
# folded) and bn_calibrated.safetensors, DATA one of class folders with images glass/glass1.jpg to glass60.jpg: of each class 1 to 48 train,
# 49 to 60 test, by lists that are written to FOLDER.
#   expected   abstract: accuracy kept or improved, better calibration, a curriculum saves more than 30 %; compute near the law's 0.77 of
#              the fixed size's (CIFAR-10's sizes: 0.64; trashnet's: 0.75)
#   time       Fashion-MNIST: 18 runs of 4 to 13 epochs, an hour with bf16 instructions, four hours on two AVX2 cores. CIFAR-10: 12 runs an
#              entry of EPOCHS; at 10 epochs six hours on two AVX2 cores, at 30 eighteen. trashnet: 9 runs of 10 to 14 epochs, half an hour on
#              two cores. --quick: two runs of 2 epochs, ten minutes at most
#   cost       none; 200 MB of runs
#   scripts/repro/multiscale-train.sh [--cifar10 PATH | --trashnet WEIGHTS DATA] [--quick] [--tables] [FOLDER] [SEEDS] [JOBS] [EPOCHS]
#       default runs/repro, seeds "1 2 3", one run at a time, CIFAR-10 at "10 30 60" epochs, trashnet at 10
# JOBS runs share the cores; as many as there are cores finish soonest, and make each run's wall time longer. Stops and goes
# on where it was. Writes the tables of docs/papers.md to standard output; with --tables those of the runs that are finished so far. On Fashion-MNIST fixed 4 and 10
# epochs stand against variable at equal epochs (4, 10) and at about equal compute (5, 13); on trashnet variable at equal epochs and at a
# third more. Its test set has 72 photographs: one is 1.4 points.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
cifar10="" weights="" photographs="" quick="" tables=""
while [[ ${1:-} == --* ]]; do
  case $1 in
    --cifar10) cifar10=${2:?--cifar10 needs a path}; shift 2 ;;
    --trashnet) weights=$(realpath -e -- "${2:?--trashnet needs a folder of weights}") photographs=$(realpath -e -- "${3:?--trashnet needs a folder of photographs}"); shift 3 ;;
    --quick) quick=yes; shift ;;
    --tables) tables=yes; shift ;;
    *) echo "repro: no option $1" >&2; exit 2 ;;
  esac
done
out=${1:-runs/repro}
seeds=${2:-1 2 3}
jobs=${3:-1}
bin=${FETTLE_BIN:-$root/build/release/bin}
[ -x "$bin/multiscale-train" ] || { echo "repro: build first: scripts/demo.sh, or cmake --preset release && cmake --build --preset release" >&2; exit 4; }
threads=$(($(nproc) / jobs))
training="--arch resnet20 --batch-size 128 --crop-scale 0.5:1 --hflip 0.5 --opt sgd_nesterov --lr 0.1 --lr-warmup-epochs 1 --weight-decay 5e-4
          --norm-weight-decay 0"
mkdir -p "$out"
if [ -n "$cifar10" ]; then
  set_of="16:48:5" sizes="16 24 32 40 48"
  recipe="--data $cifar10 --size 32 --size-multiple 8 --cache-bytes 400MB"
  settings=""
  for epochs in ${4:-10 30 60}; do settings+=" fixed-$epochs variable-$epochs curriculum-$epochs multiscale-$epochs"; done
elif [ -n "$weights" ]; then
  set_of="128:320:5" sizes="128 192 224 288 320"
  # list FIRST LAST: these numbers of each class. Paths are quoted as CSV wants it.
  list() {
    local folder name number
    for folder in "$photographs"/*/; do
      name=$(basename "$folder")
      for ((number = $1; number <= $2; ++number)); do printf '"%s","%s"\n' "${folder//\"/\"\"}$name$number.jpg" "$name"; done
    done
  }
  list 1 48 >"$out/train.csv"
  list 49 60 >"$out/test.csv"
  recipe="--data $out/train.csv --val-data $out/test.csv --size 224 --cache-bytes 400MB"
  training="--arch mobilenet_v2 --arch-options '{\"padding\":\"same\"}' --init $weights/model.safetensors
            --init-overlay $weights/bn_calibrated.safetensors --mean 128/255 --std 128/255 --batch-size 16 --crop-scale 0.35:1 --hflip 0.5
            --opt adamw --lr 5e-4 --lr-warmup-epochs 1 --weight-decay 0.05"
  settings=""
  for epochs in ${4:-10}; do settings+=" fixed-$epochs variable-$epochs variable-$(((epochs * 4 + 2) / 3))"; done
else
  set_of="16:40:5" sizes="16 20 24 28 32 36 40"
  recipe="--data fashion-mnist --size 28 --size-multiple 4"
  settings="fixed-4 variable-4 variable-5 fixed-10 variable-10 variable-13"
fi
[ -z "$quick" ] || settings="fixed-2 variable-2" seeds=1
recipe="$recipe $training --threads $((threads > 0 ? threads : 1)) --eval-sizes ${sizes// /,}"
[ -n "$tables" ] || for setting in $settings; do
  for seed in $seeds; do
    case $setting in
      fixed-*) sampler="--sampler ssc-fbs" ;;
      variable-*) sampler="--sampler msc-vbs --sizes $set_of" ;;
      curriculum-*) sampler="--sampler msc-vbs --sizes $set_of --curriculum cosine --curriculum-from 16:24" ;;
      multiscale-*) sampler="--sampler msc-fbs --sizes $set_of" ;;
    esac
    echo $recipe $sampler --epochs "${setting#*-}" --seed "$seed" --out "$out/$setting-$seed" --resume
  done
done | xargs -P "$jobs" -L 1 "$bin/multiscale-train" >/dev/null

# One row a setting: mean over the seeds (smallest-largest).
printf '%s, %s, seeds %s\n' "$("$bin/multiscale-train" --version | cut -d" " -f2-)" "$(lscpu | sed -n 's/^Model name: *//p' | head -n 1)" "$seeds"
for metric in val_top1_percent val_ece; do
  printf '\n| %s | multiply-adds | wall | mean |' $metric
  for size in $sizes; do printf ' %s |' "$size"; done
  printf '\n|---|---|---|---|'
  for _ in $sizes; do printf -- '---|'; done
  printf '\n'
  for setting in $settings; do
    for seed in $seeds; do
      [ ! -f "$out/$setting-$seed/manifest.json" ] || "$bin/inspect-artifact" show "$out/$setting-$seed" --json
    done | tr -d '\n' | sed 's/}{/}\n{/g' | awk -v setting="$setting" -v metric=$metric -v sizes="$sizes" '
      function value(name,   at, text) {
        at = index($0, "\"" name "\":"); if (!at) return ""
        text = substr($0, at + length(name) + 3); match(text, /^ *-?[0-9.eE+-]+/); return substr(text, 1, RLENGTH) + 0
      }
      { n += 1; macs += value("train_multiply_adds"); wall += value("wall_s")
        split(sizes " mean", names, " ")
        for (i in names) { key = metric (names[i] == "mean" ? "_mean" : "_at_" names[i]); v = value(key); sum[i] += v
          if (n == 1 || v < low[i]) low[i] = v; if (n == 1 || v > high[i]) high[i] = v } }
      END {
        if (!n) exit
        count = split(sizes " mean", names, " "); digits = metric ~ /percent/ ? 1 : 3
        sub("-", ", ", setting); printf "| %s epochs%s | %.1f T | %.0f s |", setting, n < '"$(wc -w <<<"$seeds")"' ? " (" n " run" (n > 1 ? "s" : "") ")" : "", macs / n / 1e12, wall / n
        for (k = 0; k < count; ++k) { i = k == 0 ? count : k; printf " %.*f (%.*f-%.*f) |", digits, sum[i] / n, digits, low[i], digits, high[i] }
        printf "\n" }'
  done
done
