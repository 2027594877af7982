#!/usr/bin/env bash
# Packs the executables that are built and their libraries - all but LibTorch, libc and the driver - into a relocatable
# archive for a machine without package access, such as a GPU node: dist/fettle-<version>-<commit>.tar.gz. There,
#   tar xf fettle-*.tar.gz && fettle-*/bin/multiscale-train --help
# finds LibTorch by FETTLE_LIBTORCH, or by asking python3 where its torch is. Needs glibc 2.36 or later.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
preset=${FETTLE_PRESET:-release}
build=build/$preset
say() { printf 'bundle: %s\n' "$*" >&2; }
die() { printf 'bundle: %s\n' "$*" >&2; exit 4; }

tools=()
for folder in tools/*/; do
  tool=$(basename "$folder")
  [ -x "$build/bin/$tool" ] || die "$build/bin/$tool is not built; try: cmake --preset $preset && cmake --build --preset $preset"
  tools+=("$tool")
done

version_of() { "$build/bin/$1" --version | sed -E 's/^[^ ]+ ([^ ]+) \(([0-9a-z]+).*/\1-\2/'; }
version=$(version_of "${tools[0]}")
for tool in "${tools[@]}"; do
  [ "$(version_of "$tool")" = "$version" ] || die "$tool is $(version_of "$tool"), but ${tools[0]} is $version; build all: cmake --build --preset $preset"
done
name=fettle-$version
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
mkdir -p "$stage/$name/bin" "$stage/$name/lib" "$stage/$name/libexec" dist
cp LICENSE NOTICE README.md "$stage/$name/"

# libc and its siblings, the dynamic loader, LibTorch and the driver stay with the machine.
stays='^(linux-vdso|ld-linux|libc|libm|libdl|librt|libpthread|libutil|libresolv|libtorch|libc10|libcuda|libgomp|libcudart|libcupti)[.-]'
for tool in "${tools[@]}"; do
  strip -o "$stage/$name/libexec/$tool" "$build/bin/$tool"
  ldd "$build/bin/$tool" | awk '$2 == "=>" && $3 ~ /^\// { print $1, $3 }' | while read -r soname path; do
    grep -qE "$stays" <<<"$soname" && continue
    case $path in *torch/lib/* | *nvidia/*) continue ;; esac
    cp -L "$path" "$stage/$name/lib/$soname"
  done
  ln -s launch "$stage/$name/bin/$tool"
done
[ ! -e "$build/lib/libfettle_cuda.so" ] || strip -o "$stage/$name/lib/libfettle_cuda.so" "$build/lib/libfettle_cuda.so"

cat >"$stage/$name/bin/launch" <<'LAUNCH'
#!/bin/sh
# Starts the tool it is called as, with LibTorch 2.11 found by FETTLE_LIBTORCH or in the Python installation.
home=$(dirname "$(dirname "$(readlink -f "$0")")")
tool=$(basename "$0")
if [ "$tool" = launch ]; then echo "call one of: $(cd "$home/libexec" && echo *)" >&2; exit 2; fi
torch=${FETTLE_LIBTORCH:-$(python3 -c 'import importlib.util as u; s = u.find_spec("torch"); print(s.submodule_search_locations[0] if s else "")' 2>/dev/null)}
if ldd "$home/libexec/$tool" | grep -q libtorch_cpu; then
  header=$torch/include/torch/headeronly/version.h
  if [ ! -e "$torch/lib/libtorch_cpu.so" ]; then
    echo "error: no LibTorch 2.11: set FETTLE_LIBTORCH to a torch folder (it holds lib/libtorch_cpu.so), or install Python's torch 2.11" >&2
    exit 4
  elif [ -e "$header" ] && [ "$(sed -n 's/^#define TORCH_VERSION_M[A-Z]*OR \([0-9]*\).*/\1/p' "$header" | tr '\n' .)" != 2.11. ]; then
    echo "error: $torch is not LibTorch 2.11, which this was built with; set FETTLE_LIBTORCH to one that is" >&2
    exit 4
  fi
fi
export FETTLE_CUDA_MODULE=${FETTLE_CUDA_MODULE:-$home/lib/libfettle_cuda.so}
LD_LIBRARY_PATH=$home/lib${torch:+:$torch/lib}${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH} exec "$home/libexec/$tool" "$@"
LAUNCH
chmod +x "$stage/$name/bin/launch"
tar -C "$stage" -czf "dist/.$name.tar.gz" "$name"
mv "dist/.$name.tar.gz" "dist/$name.tar.gz"
bytes=$(stat -c %s "dist/$name.tar.gz")
[ "$bytes" -le $((40 << 20)) ] || die "dist/$name.tar.gz has $bytes bytes, more than 40 MiB"
say "$((bytes >> 10)) KiB, ${#tools[@]} tools; needs glibc $(ldd --version | head -n 1 | grep -oE '[0-9.]+$') or later"
printf 'dist/%s.tar.gz\n' "$name"
