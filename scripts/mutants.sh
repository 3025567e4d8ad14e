#!/bin/sh
# Makes each of the mistakes in tests/mutants/, or the ones that are named, and sees the test fail that its patch names.
# In a copy of what is committed, below target/, with a build of its own.
set -eu
cd "$(dirname "$0")/.."
root="$(pwd)"
copy="$root/target/mutants"
# --check only sees that each of them can still be made.
if [ "${1:-}" = --check ]; then
    for patch in tests/mutants/*.patch; do
        git apply --check "$patch"
    done
    exit
fi
[ $# -gt 0 ] || set -- $(basename -s .patch tests/mutants/*.patch)

git worktree remove --force "$copy" 2>/dev/null || true
git worktree prune
git worktree add --quiet --detach "$copy"
trap 'cd "$root" && git worktree remove --force "$copy"' EXIT
cd "$copy"
# Of the many builds none is worth keeping.
export CARGO_INCREMENTAL=0 CARGO_TARGET_DIR="$root/target"

unnoticed=""
for name in "$@"; do
    patch="$root/tests/mutants/$name.patch"
    test="$(sed -n 's/^Test: //p' "$patch")"
    git apply "$patch"
    code=0
    timeout 900 sh -c "$test" >"$root/target/mutant.log" 2>&1 || code=$?
    if [ $code = 0 ]; then
        unnoticed="$unnoticed $name"
        echo "NOT NOTICED  $name: $test"
    elif [ $code = 124 ]; then
        echo "noticed      $name: the test does not end"
    elif grep -q '^test result: FAILED' "$root/target/mutant.log"; then
        echo "noticed      $name"
    else
        echo "DOES NOT RUN $name: see target/mutant.log" >&2
        exit 1
    fi
    git checkout --quiet .
done
[ -z "$unnoticed" ]
