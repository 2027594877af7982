#!/usr/bin/env bash
# The arrows of docs/architecture.md, checked on every #include: a room includes only what its CMake target depends on
# (itself, and rooms listed before it), the ground floor and kernels know no LibTorch, no tool includes another tool.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
status=0
complain() { printf 'arrows: %s\n' "$1" >&2; status=1; }

# Lowest first, from the list that CMake reads.
mapfile -t rooms < <(sed -n 's/^add_subdirectory(\(.*\))/\1/p' libcommon/CMakeLists.txt)
declare -A level
for i in "${!rooms[@]}"; do level[${rooms[$i]}]=$i; done
ground="base io decode dataset pickle random augment artifact cli"

while IFS=: read -r file line text; do
  room=$(cut -d/ -f2 <<<"$file")
  target=$(sed -n 's/.*#include "\([^"/]*\)\/.*/\1/p' <<<"$text")
  [ -n "$target" ] || continue
  if [ "$target" = tools ] || [ "$target" = tests ] || [ -d "tools/$target" ]; then complain "$file:$line: libcommon includes $target"; continue; fi
  [ "$target" = kernels ] && continue
  [ -n "${level[$target]:-}" ] || { complain "$file:$line: '$target' is no room"; continue; }
  [ "${level[$target]}" -le "${level[$room]}" ] || complain "$file:$line: $room includes $target, which is listed after it"
  [ "$target" = "$room" ] || grep -qE "DEPENDS[^)]*\b$target\b" <(tr '\n' ' ' <"libcommon/$room/CMakeLists.txt") ||
    complain "$file:$line: $room includes $target without naming it in its DEPENDS"
done < <(grep -rnE '#include "' libcommon --include='*.h' --include='*.cpp' --exclude='*_bench.cpp')

for room in $ground; do
  [ -d "libcommon/$room" ] || continue
  while IFS= read -r hit; do complain "$hit: the ground floor includes LibTorch"; done < <(grep -rnE '#include *[<"](torch|ATen|c10)/' "libcommon/$room" | cut -d: -f1,2)
done
while IFS= read -r hit; do complain "$hit: kernels include nothing of the rest"; done < <(
  grep -rnE '#include *[<"](torch|ATen|c10|fmt|nlohmann)/|#include "' kernels --include='*.h' --include='*.cpp' --include='*.cu' --exclude='*_bench.cpp' | grep -v '#include "kernels/' | cut -d: -f1,2)
for tool in tools/*/; do
  name=$(basename "$tool")
  for other in tools/*/; do
    [ "$other" = "$tool" ] && continue
    while IFS= read -r hit; do complain "$hit: $name includes $(basename "$other")"; done < <(grep -rnE "#include \"(tools/)?$(basename "$other")/" "$tool" | cut -d: -f1,2)
  done
  [ "$(wc -l <"$tool/main.cpp")" -le 40 ] || complain "$tool/main.cpp is longer than 40 lines"
done
[ $status -eq 0 ] && echo "arrows: ${#rooms[@]} rooms, all includes point down"
exit $status
