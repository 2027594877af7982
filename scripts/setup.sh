#!/usr/bin/env bash
# Installs what Fettle needs to build and run, and nothing else: Debian packages by name and LibTorch pinned by hash.
#   scripts/setup.sh            compiler, libraries, LibTorch for the CPU (about 530 MB to download)
#   scripts/setup.sh --cuda     also what LibTorch needs on a GPU machine (about 2.5 GB more)
#   scripts/setup.sh --fuzz     also clang, for the fuzz preset
#   scripts/setup.sh --where    prints where LibTorch is and changes nothing
# LibTorch goes to ${XDG_CACHE_HOME:-~/.cache}/fettle; FETTLE_LIBTORCH=DIR names one that is already there (a LibTorch
# folder, or the torch folder of a Python installation, of release 2.11). A second run takes no network and no time.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${XDG_CACHE_HOME:-${HOME:?}/.cache}/fettle
torch_release=2.11
step="reading the command line"
started=$SECONDS

say() { printf 'setup: %s\n' "$*" >&2; }
die() { printf 'setup: failed while %s: %s\n' "$step" "$1" >&2; [ -z "${2:-}" ] || printf 'setup: try: %s\n' "$2" >&2; exit 4; }

cuda=no fuzz=no where=no
for arg in "$@"; do
  case $arg in
    --cuda) cuda=yes ;;
    --fuzz) fuzz=yes ;;
    --where) where=yes ;;
    -h | --help) sed -n '2,8s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;;
    *) printf 'setup: unknown option %s; known: --cuda --fuzz --where\n' "$arg" >&2; exit 2 ;;
  esac
done

wheels=$cache/torch-$torch_release.0
libtorch=${FETTLE_LIBTORCH:-$wheels/torch}
if [ $where = yes ]; then printf '%s\n' "$libtorch"; exit 0; fi

# --- Debian packages ---------------------------------------------------------------------------------------------------
packages="g++ make cmake ninja-build ccache git ca-certificates python3-pip pkg-config zlib1g-dev libssl-dev libjpeg-dev libpng-dev
          libtiff-dev libwebp-dev libsndfile1-dev libmpg123-dev libmp3lame-dev libcli11-dev nlohmann-json3-dev libfmt-dev libgloo-dev
          catch2 gnuplot-nox dataset-fashion-mnist"
[ $fuzz = no ] || packages="$packages clang"
step="checking the Debian packages"
command -v dpkg-query >/dev/null ||
  die "this is not a Debian system" "install the equivalents of: $(echo $packages), then set FETTLE_LIBTORCH"
missing=""
for p in $packages; do
  [ "$(dpkg-query -W -f='${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || missing="$missing $p"
done
if [ -n "$missing" ]; then
  step="installing Debian packages"
  say "apt-get install$missing"
  begin=$SECONDS
  sudo=""
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || die "not root, and there is no sudo" "as root: apt-get install$missing"
    sudo=sudo
  fi
  mkdir -p "$cache"
  log=$cache/apt.log
  install() { DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -q --no-install-recommends $missing </dev/null >"$log" 2>&1; }
  DEBIAN_FRONTEND=noninteractive $sudo apt-get update -q </dev/null >"$log" 2>&1 || die "$(grep -m1 '^E:' "$log" || tail -n 1 "$log") (all of it: $log)" "${sudo:+sudo }apt-get update"
  install || die "$(grep -m1 '^E:' "$log" || tail -n 1 "$log") (all of it: $log)" "${sudo:+sudo }apt-get install$missing"
  say "packages installed in $((SECONDS - begin)) s"
fi

# --- LibTorch ----------------------------------------------------------------------------------------------------------
check_libtorch() {
  local header=$libtorch/include/torch/headeronly/version.h
  [ -e "$libtorch/lib/libtorch_cpu.so" ] && [ -e "$header" ] || return 1
  local major minor
  major=$(sed -n 's/^#define TORCH_VERSION_MAJOR \([0-9]*\).*/\1/p' "$header")
  minor=$(sed -n 's/^#define TORCH_VERSION_MINOR \([0-9]*\).*/\1/p' "$header")
  [ "$major.$minor" = "$torch_release" ]
}

install_wheels() { # list of pinned wheels
  local platforms=() v
  for v in 2_28 2_27 2_26 2_25 2_24 2_18 2_17 2_12 2_5; do platforms+=(--platform "manylinux_${v}_x86_64"); done
  platforms+=(--platform manylinux2014_x86_64 --platform manylinux2010_x86_64)
  python3 -m pip install --disable-pip-version-check --no-input --no-deps --require-hashes --only-binary=:all: --no-compile \
    --no-cache-dir --progress-bar off --root-user-action ignore --python-version 3.11 --implementation cp "${platforms[@]}" \
    --upgrade --target "$2" -r "$1" </dev/null >"$cache/pip.log" 2>&1
}

# Wheels unpack into a sibling folder that is renamed when complete: an interrupted download leaves nothing behind.
get_wheels() {
  local list=$1 what=$2 begin=$SECONDS
  say "downloading $what to $wheels"
  mkdir -p "$cache"
  local tmp
  tmp=$(mktemp -d "$cache/.unpack.XXXXXX")
  trap 'rm -rf "$tmp"' EXIT
  install_wheels "$here/setup.d/$list" "$tmp" ||
    die "$(grep -m1 -E '^ *ERROR' "$cache/pip.log" || tail -n 1 "$cache/pip.log") (all of it: $cache/pip.log)" \
        "check the connection and the disk (df -h $cache), or set FETTLE_LIBTORCH to a torch $torch_release that is already there"
  if [ "$list" = torch-cpu.txt ]; then
    rm -rf "$wheels"
    mv "$tmp" "$wheels"
  else
    cp -r --link "$tmp/nvidia" "$wheels/" 2>/dev/null || cp -r "$tmp/nvidia" "$wheels/"
    rm -rf "$tmp"
  fi
  trap - EXIT
  sha256sum "$here/setup.d/$list" | cut -d' ' -f1 >"$wheels/.$list"
  say "$what in place after $((SECONDS - begin)) s"
}
have_wheels() { [ "$(cat "$wheels/.$1" 2>/dev/null)" = "$(sha256sum "$here/setup.d/$1" | cut -d' ' -f1)" ]; }

step="looking for LibTorch"
if [ -n "${FETTLE_LIBTORCH:-}" ]; then
  check_libtorch || die "FETTLE_LIBTORCH=$FETTLE_LIBTORCH holds no LibTorch $torch_release (lib/libtorch_cpu.so and its headers)" \
                        "unset FETTLE_LIBTORCH, or: export FETTLE_LIBTORCH=\$(python3 -c 'import torch, os; print(os.path.dirname(torch.__file__))')"
  [ $cuda = no ] || say "--cuda: FETTLE_LIBTORCH is set, its own CUDA libraries are used"
else
  [ "$(uname -m)" = x86_64 ] || die "the pinned LibTorch is for x86_64, this is $(uname -m)" "set FETTLE_LIBTORCH to a torch $torch_release built for this machine"
  step="installing LibTorch"
  have_wheels torch-cpu.txt && check_libtorch || get_wheels torch-cpu.txt "LibTorch $torch_release (530 MB)"
  check_libtorch || die "$wheels is not a LibTorch $torch_release" "rm -rf $wheels and run this again"
  if [ $cuda = yes ]; then
    step="installing the CUDA libraries"
    have_wheels torch-cuda.txt || get_wheels torch-cuda.txt "CUDA libraries (2.5 GB)"
  fi
fi
say "ready: LibTorch at $libtorch ($((SECONDS - started)) s)"
