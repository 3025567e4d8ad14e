#!/bin/sh
# Runs all tests several times (5, or the first argument) while other programs keep every core busy: a test that fails by chance
# fails here first. The output of each round is in target/stress-N.log.
set -eu
cd "$(dirname "$0")/.."
rounds="${1:-5}"

busy=""
stop() {
    # shellcheck disable=SC2086 # one word for each process
    kill $busy 2>/dev/null || true
}
trap stop EXIT
trap 'exit 130' INT TERM
for _ in $(seq "$(getconf _NPROCESSORS_ONLN)"); do
    sh -c 'while :; do :; done' &
    busy="$busy $!"
done

mkdir -p target
failed=0
for round in $(seq "$rounds"); do
    log="target/stress-$round.log"
    if CI=true sh scripts/test.sh >"$log" 2>&1; then
        echo "round $round of $rounds: passed"
    else
        failed=1
        echo "round $round of $rounds: FAILED, see $log"
        grep -E '^test .* \.\.\. FAILED|^error' "$log" || true
    fi
done
exit $failed
