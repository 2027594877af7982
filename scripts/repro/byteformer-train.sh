#!/usr/bin/env bash
# What the paper (arXiv 2306.00238) says of networks that read files' bytes, at a size that two cores can do: which encodings of pictures are
# easy to read, what the order of bytes, a substitution of their values and a camera that reads only some of them cost, and sounds as WAV and MP3.
#   CIFAR-10, 1,000 pictures a class to train and 200 to test: six layers of width 64, kernel 16, windows of 64 tokens, ten epochs
#   spoken digits (Free Spoken Digit Dataset, recordings 0 to 4 of each speaker and digit to test): the same network with kernel 16 for WAV of 16 bits,
#              32 for 32 bits, 8 for MP3; thirty epochs
#   Speech Commands, ten words: kernel 32 for WAV, 8 for MP3; thirty epochs
#   learning rates are 1e-3 for pictures, where names do not say 3e-4, and the other way round for sounds
#   files as they are stored, ten epochs: one network on the words and CIFAR-10's JPEG files together, beside one on each
#   expected   fHWC as good as TIFF, better than PNG, better than JPEG (table 1); substitution changes nothing, reverse order little, strides and
#              shuffles much (sections 4.3 and 5); half of the positions cost little, a tenth more
#   time       48 runs of three seeds: two hours on two cores with bf16 instructions; 12 of one seed: forty minutes; --quick: 3 runs in two minutes
#   cost       none; 300 MB of pictures and runs
#   scripts/repro/byteformer-train.sh CIFAR10 DIGITS COMMANDS [--quick] [--tables] [FOLDER] [SEEDS] [JOBS]
#       CIFAR10    a .tar(.gz) or folder with train/ and test/, in them class folders of pictures
#       DIGITS     a folder of <digit>_<speaker>_<number>.wav
#       COMMANDS   class folders of <speaker>_nohash_<number>.wav
#       default FOLDER runs/bytes, seeds "1 2 3", two runs at a time
# Stops and goes on where it was. Writes the tables of docs/papers.md to standard output; with --tables those of the runs finished so far.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
[ $# -ge 3 ] || { sed -n '14,17s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 2; }
cifar=$(realpath -e -- "$1") digits=$(realpath -e -- "$2") commands=$(realpath -e -- "$3")
shift 3
quick="" tables=""
while [[ ${1:-} == --* ]]; do
  case $1 in
    --quick) quick=yes; shift ;;
    --tables) tables=yes; shift ;;
    *) echo "repro: no option $1" >&2; exit 2 ;;
  esac
done
out=${1:-runs/bytes}
seeds=${2:-1 2 3}
jobs=${3:-2}
bin=${FETTLE_BIN:-$root/build/release/bin}
[ -x "$bin/byteformer-train" ] || { echo "repro: build first: scripts/demo.sh, or cmake --preset release && cmake --build --preset release" >&2; exit 4; }
mkdir -p "$out"
out=$(realpath "$out")

# --- lists: "path","class" -----------------------------------------------------------------------------------------------
if [ ! -d "$cifar" ]; then
  [ -d "$out/cifar" ] || { mkdir "$out/cifar.part" && tar -xf "$cifar" -C "$out/cifar.part" && mv "$out/cifar.part" "$out/cifar"; }
  cifar=$out/cifar
fi
pictures=$(find "$cifar" -maxdepth 2 -type d -name train -printf '%h\n' | head -n 1)
[ -n "$pictures" ] || { echo "repro: $cifar has no train/" >&2; exit 3; }
rows() { sed 's/"/""/g' | awk -F'\t' '{ printf "\"%s\",\"%s\"\n", $1, $2 }'; }  # of path<TAB>class
of_classes() {  # FOLDER FIRST LAST: of each class the files from the FIRST to the LAST in order of their names
  local folder
  for folder in "$1"/*/; do
    [ "$(basename "$folder")" = _unknown_ ] || find "$folder" -type f -name '*.*' ! -name '*.md' | sort | sed -n "$2,$3p" | sed "s|\$|\t$(basename "$folder")|"
  done
}
of_digits() { find "$digits" -name '*.wav' | sort | awk -F/ -v test="$1" '{ split($NF, part, /[_.]/); if ((part[3] < 5) == test) print $0 "\t" part[1] }'; }
# Speech Commands by speakers: those whose names begin with 3 test, about a fifth.
of_words() { of_classes "$commands" 1 100000 | grep -v "/_silence_/" | awk -F/ -v test="$1" '{ split($NF, part, "\t"); if ((part[1] ~ /^3/) == test) print }'; }
[ -n "$tables" ] || {
  of_classes "$pictures/train" 1 1000 | rows >"$out/pictures-train.csv"
  of_classes "$pictures/test" 1 200 | rows >"$out/pictures-test.csv"
  of_digits 0 | rows >"$out/digits-train.csv"
  of_digits 1 | rows >"$out/digits-test.csv"
  of_words 0 | rows >"$out/words-train.csv"
  of_words 1 | rows >"$out/words-test.csv"
  cat "$out/pictures-train.csv" "$out/words-train.csv" >"$out/both-train.csv"
  cat "$out/pictures-test.csv" "$out/words-test.csv" >"$out/both-test.csv"
}

# --- settings: name, then flags -------------------------------------------------------------------------------------------
network() {  # KERNEL LEARNING-RATE
  printf -- "--arch bf_custom --arch-options '{\"width\":64,\"num_layers\":6,\"num_heads\":2,\"kernel\":%s,\"windows\":64}' --opt adamw --lr %s --lr-warmup-epochs 1 --weight-decay 0.05" "$1" "$2"
}
picture="--data $out/pictures-train.csv --val-data $out/pictures-test.csv --size 32 --hflip 0.5 --cache-bytes 100MB --batch-size 32 --epochs 10 $(network 16 1e-3)"
digit="--data $out/digits-train.csv --val-data $out/digits-test.csv --batch-size 16 --epochs 30"
word="--data $out/words-train.csv --val-data $out/words-test.csv --batch-size 16 --epochs 30"
stored="--batch-size 32 --epochs 10 $(network 16 1e-3)"
settings() {
  cat <<END
fhwc $picture --encoding fhwc
tiff $picture --encoding tiff
png $picture --encoding png
jpeg $picture --encoding jpeg
phi $picture --encoding fhwc --phi
reverse $picture --encoding fhwc --reorder reverse
random-shuffle $picture --encoding fhwc --reorder random-shuffle
keep-0.5 $picture --encoding fhwc --keep 0.5
keep-0.1 $picture --encoding fhwc --keep 0.1
fhwc-3e-4 ${picture/1e-3/3e-4} --encoding fhwc
png-3e-4 ${picture/1e-3/3e-4} --encoding png
jpeg-3e-4 ${picture/1e-3/3e-4} --encoding jpeg
digits-wav-int16 $digit $(network 16 3e-4) --encoding wav-int16
digits-mp3 $digit $(network 8 3e-4) --encoding mp3
digits-wav-int16-1e-3 $digit $(network 16 1e-3) --encoding wav-int16
digits-mp3-1e-3 $digit $(network 8 1e-3) --encoding mp3
END
}
once() {
  cat <<END
fchw $picture --encoding fchw
cyclic $picture --encoding fhwc --reorder cyclic-half-length
stride $picture --encoding fhwc --reorder stride --reorder-stride 64
window-shuffle $picture --encoding fhwc --reorder window-shuffle --reorder-window 64
noise $picture --encoding fhwc --noise -20:20
digits-wav-float32 $digit $(network 32 3e-4) --encoding wav-float32
digits-wav-float32-1e-3 $digit $(network 32 1e-3) --encoding wav-float32
words-wav $word $(network 32 3e-4) --encoding wav-int16
words-mp3 $word $(network 8 3e-4) --encoding mp3
pictures-stored --data $out/pictures-train.csv --val-data $out/pictures-test.csv $stored
words-stored --data $out/words-train.csv --val-data $out/words-test.csv $stored
both-stored --data $out/both-train.csv --val-data $out/both-test.csv $stored
END
}
if [ -n "$quick" ]; then
  picture=${picture/--epochs 10/--epochs 3}
  settings() { printf '%s\n' "tiff $picture --encoding tiff" "jpeg $picture --encoding jpeg" "random-shuffle $picture --encoding tiff --reorder random-shuffle"; }
  once() { :; }
  seeds=1
fi

# --- runs -----------------------------------------------------------------------------------------------------------------
threads=$(($(nproc) / jobs))
[ -n "$tables" ] || {
  for seed in $seeds; do settings | while read -r name flags; do echo "$flags --seed $seed --out $out/$name-$seed"; done; done
  once | while read -r name flags; do echo "$flags --seed 1 --out $out/$name-1"; done
} | sed "s|\$| --threads $((threads > 0 ? threads : 1)) --resume|" | xargs -P "$jobs" -L 1 "$bin/byteformer-train" >/dev/null

# --- tables: mean over the seeds (smallest-largest) -----------------------------------------------------------------------
json_value='function value(key,   at, text) {
  at = index($0, "\"" key "\":"); if (!at) return ""
  text = substr($0, at + length(key) + 3); match(text, /^ *-?[0-9.eE+-]+/); return substr(text, 1, RLENGTH) + 0
}'  # of awk: the first number under a key of the line
printf '%s, %s, seeds %s\n\n' "$("$bin/byteformer-train" --version | cut -d" " -f2-)" "$(lscpu | sed -n 's/^Model name: *//p' | head -n 1)" "$seeds"
printf '| | runs | top-1, %% | NLL | ECE | multiply-adds a run | wall |\n|---|---|---|---|---|---|---|\n'
{ settings; once; } | while read -r name _; do
  for seed in $seeds; do
    [ ! -f "$out/$name-$seed/manifest.json" ] || "$bin/inspect-artifact" show "$out/$name-$seed" --json
  done | tr -d '\n' | sed 's/}{/}\n{/g' | awk -v name="$name" "$json_value"'
    { n += 1; macs = value("train_multiply_adds"); wall += value("wall_s")
      split("val_top1_percent val_nll val_ece", keys, " ")
      for (i = 1; i <= 3; ++i) { v = value(keys[i]); sum[i] += v; if (n == 1 || v < low[i]) low[i] = v; if (n == 1 || v > high[i]) high[i] = v } }
    END {
      if (!n) exit
      printf "| %s | %d |", name, n
      for (i = 1; i <= 3; ++i) { d = i == 1 ? 1 : 3; printf " %.*f", d, sum[i] / n; if (n > 1) printf " (%.*f-%.*f)", d, low[i], d, high[i]; printf " |" }
      if (macs == "") printf " |"; else printf " %.1f T |", macs / 1e12
      printf " %.0f s |\n", wall / n }'
done

# Of one network on pictures and words what it does on each, beside the two that have learned but one.
[ ! -f "$out/both-stored-1/manifest.json" ] || {
  printf '\n| as stored, top-1, %% (ECE) | on pictures | on words |\n|---|---|---|\n'
  of() {  # RUN DATA
    [ -f "$out/$1-stored-1/manifest.json" ] || return 0
    "$bin/byteformer-train" --evaluate --data "$out/$2-test.csv" --from "$out/$1-stored-1" --json --quiet | tr -d '\n' | awk "$json_value"'{ printf "%.1f (%.3f)", value("top1_percent"), value("ece") }'
  }
  printf '| one network for each | %s | %s |\n' "$(of pictures pictures)" "$(of words words)"
  printf '| one for both | %s | %s |\n' "$(of both pictures)" "$(of both words)"
}
