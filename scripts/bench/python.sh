#!/usr/bin/env bash
# Prints the Python of the benchmarks' virtual environment, ~/.cache/fettle/bench-venv: torch 2.11.0, numpy, safetensors and the
# packages named, installed when they are not there.
#   scripts/bench/python.sh [PACKAGE==RELEASE...]
set -euo pipefail
folder=${XDG_CACHE_HOME:-$HOME/.cache}/fettle/bench-venv
python=$folder/bin/python
if [ ! -x "$python" ]; then
  printf 'bench: making %s\n' "$folder" >&2
  python3 -m venv "$folder" || { echo "bench: try: apt-get install python3-venv" >&2; exit 4; }
fi
missing=()
for package in torch==2.11.0 numpy safetensors "$@"; do
  "$python" -c "import importlib.metadata as m, sys; name, _, want = '$package'.partition('=='); have = m.version(name); sys.exit(want not in ('', have.split('+')[0]))" 2>/dev/null ||
    missing+=("$package")
done
[ ${#missing[@]} = 0 ] || "$python" -m pip install -q "${missing[@]}" >&2
printf '%s\n' "$python"
