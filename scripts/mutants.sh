#!/bin/sh
# Makes each of the mistakes in tests/mutants/, or the ones that are named, and sees the test fail that its patch names.
# In a copy of what is committed, below target/, with a build of its own.
#
#   scripts/mutants.sh [NAME...]        all of them take hours; what was noticed in this very tree is not tried again
#   scripts/mutants.sh --shard 2/4      the second of four parts, for several machines or nights
#   scripts/mutants.sh --check          sees only that each of them can still be made
set -eu
cd "$(dirname "$0")/.."
root="$(pwd)"
if [ "${1:-}" = --check ]; then
    for patch in tests/mutants/*.patch; do
        git apply --check "$patch"
    done
    exit
fi
part=1
parts=1
if [ "${1:-}" = --shard ]; then
    part="${2%/*}"
    parts="${2#*/}"
    shift 2
fi
[ $# -gt 0 ] || set -- $(basename -s .patch tests/mutants/*.patch | awk -v part="$part" -v parts="$parts" 'NR % parts == part % parts')

copy="$root/target/mutants-$part"
log="$root/target/mutants-$part.log"
# One empty file for each mistake that was noticed in this tree.
done="$root/target/mutants-noticed/$(git rev-parse 'HEAD^{tree}')"
mkdir -p "$done"
git worktree remove --force "$copy" 2>/dev/null || true
git worktree prune
git worktree add --quiet --detach "$copy"
trap 'cd "$root" && git worktree remove --force "$copy"' EXIT
cd "$copy"
. scripts/flags.sh
# A mistake changes some lines: what is built of the others is kept. Nobody reads a backtrace of it.
export CARGO_INCREMENTAL=1 CARGO_TARGET_DIR="$root/target" CARGO_PROFILE_DEV_DEBUG=0

unnoticed=""
for name in "$@"; do
    [ ! -e "$done/$name" ] || continue
    patch="$root/tests/mutants/$name.patch"
    test="$(sed -n 's/^Test: //p' "$patch")"
    git apply "$patch"
    code=0
    timeout 900 sh -c "$test" >"$log" 2>&1 || code=$?
    if [ $code = 0 ]; then
        unnoticed="$unnoticed $name"
        echo "NOT NOTICED  $name: $test"
    elif [ $code = 124 ]; then
        echo "noticed      $name: the test does not end"
        touch "$done/$name"
    elif grep -q '^test result: FAILED' "$log"; then
        echo "noticed      $name"
        touch "$done/$name"
    else
        unnoticed="$unnoticed $name"
        echo "DOES NOT RUN $name: $test"
        grep -m 3 '^error' "$log" || true
    fi
    git checkout --quiet .
done
[ -z "$unnoticed" ]
