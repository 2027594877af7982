#!/usr/bin/env bash
# What the paper (arXiv 2309.04502) promises of variable-batch multi-scale sampling, on Fashion-MNIST with ResNet-20: less
# compute at the same number of epochs, accuracy kept at the base size and better elsewhere, better calibration.
#   expected   abstract: accuracy kept or improved, better calibration; compute near the law's 0.77 of the fixed size's
#   time       18 runs of 4 to 13 epochs: about an hour with bf16 instructions, four hours on two AVX2 cores
#   cost       none; 200 MB of runs
#   scripts/repro/multiscale-train.sh [FOLDER] [SEEDS] [JOBS]      default runs/repro, seeds "1 2 3", one run at a time
# JOBS runs share the cores; as many as there are cores finish soonest, and make each run's wall time longer. Stops and goes
# on where it was. Writes the tables of docs/papers.md to standard output. Fixed 4 and 10 epochs stand against variable at
# equal epochs (4, 10) and at about equal compute (5, 13).
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
out=${1:-runs/repro}
seeds=${2:-1 2 3}
jobs=${3:-1}
bin=${FETTLE_BIN:-$root/build/release/bin}
[ -x "$bin/multiscale-train" ] || { echo "repro: build first: scripts/demo.sh, or cmake --preset release && cmake --build --preset release" >&2; exit 4; }
threads=$(($(nproc) / jobs))
recipe="--data fashion-mnist --arch resnet20 --size 28 --size-multiple 4 --batch-size 128 --crop-scale 0.5:1 --hflip 0.5
        --opt sgd_nesterov --lr 0.1 --lr-warmup-epochs 1 --weight-decay 5e-4 --norm-weight-decay 0 --eval-sizes 16,20,24,28,32,36,40
        --threads $((threads > 0 ? threads : 1))"
mkdir -p "$out"
for seed in $seeds; do
  for setting in fixed-4 variable-4 variable-5 fixed-10 variable-10 variable-13; do
    case $setting in fixed-*) sampler="--sampler ssc-fbs" ;; *) sampler="--sampler msc-vbs --sizes 16:40:5" ;; esac
    echo $recipe $sampler --epochs "${setting#*-}" --seed "$seed" --out "$out/$setting-$seed" --resume
  done
done | xargs -P "$jobs" -L 1 "$bin/multiscale-train" >/dev/null

# One row a setting: mean over the seeds (smallest-largest).
sizes="16 20 24 28 32 36 40"
printf '%s, %s, seeds %s\n' "$("$bin/multiscale-train" --version | cut -d" " -f2-)" "$(lscpu | sed -n 's/^Model name: *//p' | head -n 1)" "$seeds"
for metric in val_top1_percent val_ece; do
  printf '\n| %s | multiply-adds | wall | mean |' $metric
  for size in $sizes; do printf ' %s |' "$size"; done
  printf '\n|---|---|---|---|'
  for _ in $sizes; do printf -- '---|'; done
  printf '\n'
  for setting in fixed-4 variable-4 variable-5 fixed-10 variable-10 variable-13; do
    for seed in $seeds; do
      "$bin/inspect-artifact" show "$out/$setting-$seed" --json
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
        count = split(sizes " mean", names, " "); digits = metric ~ /percent/ ? 1 : 3
        sub("-", ", ", setting); printf "| %s epochs | %.1f T | %.0f s |", setting, macs / n / 1e12, wall / n
        for (k = 0; k < count; ++k) { i = k == 0 ? count : k; printf " %.*f (%.*f-%.*f) |", digits, sum[i] / n, digits, low[i], digits, high[i] }
        printf "\n" }'
  done
done
