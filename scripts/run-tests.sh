#!/usr/bin/env bash
# Runs the tests of a preset that is built, and counts cases over all test programs.
#   scripts/run-tests.sh PRESET [CTEST ARGUMENTS]
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
preset=$1
shift
log=build/$preset/test-log.txt
begin=$SECONDS
ctest --preset "$preset" --verbose "$@" >"$log" 2>&1
status=$?
# ctest prefixes each line with the test's number.
grep -E '^[0-9]+: (skipped: |golden )' "$log" | sed 's/^[0-9]*: //' | sort -u
if [ $status -ne 0 ]; then
  grep -E 'FAILED:|\*\*\*Failed|\*\*\*Timeout|\*\*\*Exception|SegFault|[0-9]+: .*_test\.cpp:[0-9]+: FAILED' -A 8 "$log" | head -n 120
  printf 'test: all of it: %s\n' "$log" >&2
fi
# A Catch2 program ends with "All tests passed (12 assertions in 3 test cases)" or "test cases: 4 | 3 passed | 1 failed";
# other tests (shell scripts) count as one case each.
awk '
  /: All tests passed \(/ { match($0, /in [0-9]+ test case/); split(substr($0, RSTART, RLENGTH), w, " "); passed += w[2]; catch2 += 1 }
  /: test cases: / { for (i = 1; i < NF; i++) { if ($(i + 1) == "passed") passed += $i; if ($(i + 1) == "failed") failed += $i } catch2 += 1 }
  /: skipped cases: / { skipped += $NF }
  /^ *[0-9]+\/[0-9]+ Test +#.* Passed / { programs += 1 }
  /^ *[0-9]+\/[0-9]+ Test +#.*\*\*\*/ { broken += 1 }
  END {
    whole = programs + broken - catch2; if (whole < 0) whole = 0
    if (failed == 0 && broken > 0) failed = broken
    printf "%d passed, %d failed, %d skipped\n", passed + (broken == 0 ? whole : 0) - skipped, failed, skipped
  }' "$log"
printf 'test: preset %s in %d s\n' "$preset" $((SECONDS - begin)) >&2
exit $status
