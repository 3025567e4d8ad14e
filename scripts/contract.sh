#!/bin/sh
# Compares docs/openapi.yaml with a running server: sends requests that the document allows, and requests that it forbids,
# and checks each answer against it. Takes about half a minute after the build. schemathesis is installed from PyPI into
# target/ when it is not there. The requests are the same in each run. scripts/schemathesis.toml says which answers are
# right although the document cannot express why. `--prepare` only installs.
set -eu
cd "$(dirname "$0")/.."
. scripts/packages.sh
. scripts/flags.sh

SCHEMATHESIS_VERSION=4.32.5

# The interpreter with which schemathesis runs; installs schemathesis for the first one that has pip.
find_schemathesis() {
    dir="target/schemathesis-$SCHEMATHESIS_VERSION"
    for python in python3 /usr/bin/python3; do
        PYTHONPATH="$dir" "$python" -c 'import schemathesis' >/dev/null 2>&1 && echo "$python" && return
    done
    for python in python3 /usr/bin/python3; do
        rm -rf "$dir"
        "$python" -m pip install -q --target "$dir" "schemathesis==$SCHEMATHESIS_VERSION" >&2 || continue
        PYTHONPATH="$dir" "$python" -c 'import schemathesis' >&2 && echo "$python" && return
    done
    return 1
}

python="$(find_schemathesis)" || {
    leave_out "the comparison of docs/openapi.yaml with the server (needs python3-pip, and schemathesis $SCHEMATHESIS_VERSION by it)"
    exit 0
}

[ "${1:-}" != --prepare ] || exit 0
build_program

work="$(mktemp -d)"
server=""
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; rm -rf "$work"' EXIT
cat >"$work/captionwire.toml" <<'TOML'
[limits]
# One client, with many connections and feeds.
connections_per_address_max = 0
connections_max = 2000
TOML
target/debug/captionwire serve --config "$work/captionwire.toml" --listen 127.0.0.1:0 --ephemeral >"$work/stdout" 2>"$work/stderr" &
server="$!"
tries=0
until grep -q '^listening on ' "$work/stdout"; do
    tries=$((tries + 1))
    if [ "$tries" -gt 300 ] || ! kill -0 "$server" 2>/dev/null; then
        echo "the server did not start:" >&2
        cat "$work/stderr" >&2
        exit 1
    fi
    sleep 0.1
done
url="$(sed -n 's/^listening on //p' "$work/stdout")"

# The feeds that scripts/schemathesis.toml names, and a published segment of one of them.
CONTRACT_SEGMENT="$("$python" - "$url" <<'PYTHON'
import sys
import urllib.request


def request(method, path, body=None):
    headers = {"Content-Type": "text/plain"} if body else {}
    whole = urllib.request.Request(f"{sys.argv[1]}/v1/feeds/{path}", body, headers, method=method)
    with urllib.request.urlopen(whole, timeout=10) as answer:
        return answer.read().decode()


request("PUT", "hearing/transcript", b"Clerk: (00:01)\nThe hearing is open.\n\nMarlow: (00:30)\nThank you.\n")
request("PUT", "to-end")
request("PUT", "to-delete")
playlist = request("GET", "hearing/hls/captions.m3u8")
print(next(row for row in playlist.splitlines() if row.endswith(".vtt")))
PYTHON
)"
export CONTRACT_SEGMENT

result=0
PYTHONPATH="target/schemathesis-$SCHEMATHESIS_VERSION" PYTHONDONTWRITEBYTECODE=1 timeout 300 "$python" -c 'import sys
from schemathesis.cli import schemathesis
sys.argv[0] = "schemathesis"
schemathesis()' --config-file scripts/schemathesis.toml --no-color run docs/openapi.yaml --url "$url" || result="$?"
if grep -q panicked "$work/stderr"; then
    echo "the server panicked:" >&2
    grep -A 5 panicked "$work/stderr" >&2
    result=1
fi
exit "$result"
