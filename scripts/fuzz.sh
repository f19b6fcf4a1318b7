#!/usr/bin/env bash
# Runs every fuzz target of the module, each for a time or for a number of inputs:
#
#   scripts/fuzz.sh 60s             guided by coverage; goes on where the last run has ended
#   scripts/fuzz.sh 2000x           begins with the seeds alone and takes what comes, which
#                                   spares compiling everything once more; with LIMPET_SEED
#                                   the same inputs each time
#   scripts/fuzz.sh 5m FuzzRestore  only targets whose names begin so
#
# What is found lies in the package's testdata/fuzz, for good: commit it with the fix.
set -euo pipefail
cd "$(dirname "$0")/.."
each=${1:-60s}
only=${2:-Fuzz}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
case $each in
  *x) guided=() cache=$work/cache ;;
  *) guided=(-fuzz .) cache=$(go env GOCACHE)/fuzz ;;
esac
[ -z "${LIMPET_SEED:-}" ] || export GODEBUG=fuzzseed=$LIMPET_SEED

for dir in $(grep -rlE "^func $only" --include='*_test.go' . | xargs -n1 dirname | sort -u); do
  # One binary for all targets of a package: linking takes longer than many inputs.
  go test -c "${guided[@]}" -o "$work/fuzz.test" "$dir"
  for target in $(grep -ohE "^func $only[A-Za-z0-9_]*" "$dir"/*_test.go | awk '{print $2}'); do
    (cd "$dir" && "$work/fuzz.test" -test.run '^$' -test.fuzz "^$target\$" -test.fuzztime "$each" \
      -test.fuzzcachedir "$cache/limpet/$dir") >"$work/log" 2>&1 ||
      { echo "== $dir $target"; cat "$work/log"; exit 1; }
    echo "$dir $target: $(grep -o 'elapsed: .*' "$work/log" | tail -n 1)"
  done
done
