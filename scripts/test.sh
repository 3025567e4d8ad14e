#!/bin/sh
# Passes all tests, on a fresh machine too: installs the Debian packages that some of them need where it may, and says
# what is left out where it may not. Plain `cargo test` always works, and leaves out the same, the simulation and the traces.
# Arguments go to `cargo test`.
set -eu
cd "$(dirname "$0")/.."

# The example scripts in Python are run against the real binary, and ffmpeg plays its playlists.
PACKAGES="python3 python3-websockets ffmpeg"

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

# Runs its arguments as root, or fails.
as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null 2>&1 && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
        sudo "$@"
    else
        return 1
    fi
}

install_packages() {
    command -v apt-get >/dev/null 2>&1 || return 1
    echo "==> installing $PACKAGES"
    # The lists of a fresh machine are empty or old.
    as_root apt-get update -q || return 1
    # shellcheck disable=SC2086 # one word for each package
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $PACKAGES
}

{ find_python && command -v ffmpeg; } >/dev/null || install_packages || true

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

say_what_is_left_out() {
    [ -z "$left_out" ] || printf '\n%s\n    %s\n%s\n\n' \
        '########## NOT ALL TESTS ARE RUN. Left out:' "$left_out" \
        '########## Install it, or run this as root or with sudo.' >&2
}

say_what_is_left_out
# Unit, integration and documentation tests in one build. Benches are none.
cargo test --locked "$@"
# And a build of its own for what a plain one cannot have: the chance within tokio, to be set by the simulation; and traces.
[ $# -gt 0 ] || RUSTFLAGS="--cfg tokio_unstable" cargo test --locked --features opentelemetry --test sim --test traces
# Again, where it is read.
say_what_is_left_out
