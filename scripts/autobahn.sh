#!/bin/sh
# Runs the public Autobahn fuzzing client against publish and subscribe: the 142 cases that need no echo.
#
#   WSTEST=/path/to/wstest CAPTIONWIRE_CONFORMANCE=/path/to/folder sh scripts/autobahn.sh
#
# WSTEST is the command of autobahntestsuite 25.10.1 (PyPI; it needs CPython 2.7). The folder holds dataproxy.py, which
# hides the server's own messages from the suite, spec_noecho.json, which names the cases, and check_autobahn.py, which
# judges the result: wstest itself always exits 0. tests/it/protocol/conformance.rs has the same cases in our words, without any of it.
set -eu
cd "$(dirname "$0")/.."
: "${WSTEST:?names the command wstest of autobahntestsuite}"
: "${CAPTIONWIRE_CONFORMANCE:?names the folder with dataproxy.py, spec_noecho.json and check_autobahn.py}"

work="$(mktemp -d)"
pids=""
trap 'kill $pids 2>/dev/null || true; rm -rf "$work"' EXIT
cargo build --locked --bin captionwire
target/debug/captionwire serve --listen 127.0.0.1:0 --ephemeral >"$work/said" &
pids="$!"
until [ -s "$work/said" ]; do sleep 0.1; done
port="$(sed -n 's/.*:\([0-9]*\)$/\1/p' "$work/said")"
curl -sf -X PUT "http://127.0.0.1:$port/v1/feeds/autobahn" >/dev/null

for side in publish subscribe; do
    python3 "$CAPTIONWIRE_CONFORMANCE/dataproxy.py" 9301 "$port" all >/dev/null 2>&1 &
    proxy="$!"
    pids="$pids $proxy"
    sleep 1
    sed "s#PATH?QUERY#v1/feeds/autobahn/$side#; s#\"outdir\": *\"[^\"]*\"#\"outdir\": \"$work/$side\"#" \
        "$CAPTIONWIRE_CONFORMANCE/spec_noecho.json" >"$work/spec.json"
    "$WSTEST" -m fuzzingclient -s "$work/spec.json" >"$work/$side.log" 2>&1
    printf '%s: ' "$side"
    python3 "$CAPTIONWIRE_CONFORMANCE/check_autobahn.py" "$work/$side" 142
    kill "$proxy"
done
