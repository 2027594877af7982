#!/usr/bin/env bash
# Sets up, builds and runs every test. Ends with a line "N passed, N failed, N skipped" that counts test cases; skipped are
# those that lack a device, data (FETTLE_DATA), golden values (FETTLE_GOLDEN) or a right, each named above.
#   scripts/test.sh [CTEST ARGUMENTS]      such as -L golden, -R train
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")
preset=${FETTLE_PRESET:-release}
"$here/setup.sh"
say() { printf 'test: %s\n' "$*" >&2; }

cd "$root"
begin=$SECONDS
log=$(mktemp)
trap 'rm -f "$log"' EXIT
say "building preset $preset"
{ cmake --preset "$preset" ${FETTLE_CMAKE_ARGS:-} && cmake --build --preset "$preset"; } >"$log" 2>&1 || { grep -E 'error|FAILED|CMake Error' -A 6 "$log" | head -n 60 >&2; tail -n 5 "$log" >&2; say "the build failed"; exit 1; }
say "built in $((SECONDS - begin)) s"
exec "$here/run-tests.sh" "$preset" "$@"
