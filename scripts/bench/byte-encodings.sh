#!/usr/bin/env bash
# ByteFormer's encodings and byte transforms against Pillow and NumPy: one picture of 224 x 224, one core. Results are compared first,
# then both sides are timed in turn, by the thread's CPU time. Prints a Markdown table of medians over rounds in microseconds
# (smallest-largest) and of the ratio: below 1 Fettle is faster.
#   scripts/bench/byte-encodings.sh [PHOTO] [ROUNDS] [SAMPLES]      default: waves and noise, 5 rounds of 7 samples of 2 ms; about a minute
# The virtual environment is scripts/bench/python.sh's, with Pillow 13.0.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
photo=${1:-} rounds=${2:-5} samples=${3:-7}
python=$("$here/python.sh" pillow==13.0.0)
(cd "$root" && cmake --preset release >/dev/null && cmake --build --preset release --target bench-byte-encodings >/dev/null)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$python" "$here/byte_encodings.py" image "$work" "$photo"
printf 'commit %s, %s, %s\n\n' "$(git -C "$root" rev-parse --short=12 HEAD)" "$(lscpu | sed -n 's/^Model name: *//p' | head -n 1)" \
  "$("$python" -c "import PIL, PIL.features, numpy; print(f'Pillow {PIL.__version__} with zlib', PIL.features.version('zlib') + f', NumPy {numpy.__version__}')")"
printf '| | bytes | Fettle, us | GB/s | of a copy'"'"'s speed | Python, us | ratio |\n|---|---|---|---|---|---|---|\n'
for ((round = 0; round < rounds; ++round)); do
  printf 'cpp %s\n' "$("$root/build/release/bin/bench-byte-encodings" "$work" "$samples")" >>"$work/rounds"
  printf 'python %s\n' "$("$python" "$here/byte_encodings.py" time "$work" "$samples")" >>"$work/rounds"
done
"$python" "$here/byte_encodings.py" report "$work/rounds"
