#!/bin/sh
# Passes all tests, on a fresh machine too: installs the Debian packages that some of them need where it may, and says
# what is left out where it may not; where `CI` is set, that is a failure. Plain `cargo test` always works, and leaves out
# the same, the simulation, the traces and the browser. Arguments go to `cargo test`.
set -eu
cd "$(dirname "$0")/.."
. scripts/packages.sh
. scripts/flags.sh

# The example scripts in Python and the programs of docs are run against the real binary, ffmpeg plays its playlists, NATS
# servers keep its log, proxies stand in front of it, and systemd reads its units.
PACKAGES="python3 python3-websockets ffmpeg nodejs nats-server haproxy nginx-light caddy systemd"

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

find_proxies() {
    find_server haproxy && find_server nginx && find_server caddy && find_server systemd-analyze
}

# shellcheck disable=SC2086 # one word for each package
{ find_python && command -v ffmpeg && command -v node && find_server nats-server && find_proxies; } >/dev/null || install_packages $PACKAGES || true

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
if nats="$(find_server nats-server)"; then
    export CAPTIONWIRE_TEST_NATS="${CAPTIONWIRE_TEST_NATS:-$nats}"
else
    left_out="${left_out:+$left_out; }the log on NATS servers (needs nats-server)"
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

say_what_is_left_out() {
    [ -z "$left_out" ] || leave_out "$left_out"
}

say_what_is_left_out
# Unit, integration and documentation tests, the simulation and the traces in one build. Benches are none.
# shellcheck disable=SC2086 # one word for each flag
cargo test $CARGO_FLAGS "$@"
[ $# -gt 0 ] || sh scripts/browser-hls.sh
# Again, where it is read.
say_what_is_left_out
