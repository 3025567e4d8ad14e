#!/bin/sh
# The client library and the pages: that what is built is what the sources make, the library against the real server, and the
# pages in Debian's Chromium. Installs Node, npm and Chromium where it may, and what they need from npm. Where it cannot, it
# says so loudly and passes; in CI (`CI` is set, or --strict) it fails.
# `scripts/browser.sh measure` prints how fast the pages are, `scripts/browser.sh screenshots` makes docs/screenshots anew.
set -eu
cd "$(dirname "$0")/.."

strict=""
[ -z "${CI:-}" ] || strict=yes
if [ "${1:-}" = --strict ]; then
    strict=yes
    shift
fi

leave_out() {
    printf '\n%s\n    %s\n%s\n\n' '########## NOT ALL TESTS ARE RUN. Left out:' "the pages in a browser ($1)" \
        '########## Install it, or run this as root or with sudo.' >&2
    [ -z "$strict" ] || exit 1
    exit 0
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

is_there() {
    command -v node >/dev/null && command -v npm >/dev/null &&
        { [ -n "${CHROMIUM:-}" ] || [ -x /usr/bin/chromium ] || [ -x /usr/bin/chromium-browser ] || [ -x /usr/bin/google-chrome ]; }
}

install_packages() {
    command -v apt-get >/dev/null 2>&1 || return 1
    packages=""
    command -v node >/dev/null || packages="nodejs"
    command -v npm >/dev/null || packages="$packages npm"
    [ -x /usr/bin/chromium ] || packages="$packages chromium"
    echo "==> installing $packages"
    as_root apt-get update -q || return 1
    # shellcheck disable=SC2086 # one word for each package
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $packages
}

is_there || install_packages || true
is_there || leave_out "needs nodejs, npm and chromium"
major="$(node -p 'process.versions.node.split(".")[0]')"
[ "$major" -ge 20 ] || leave_out "needs Node 20 or newer, this is $major"
for place in clients/js web tests/browser; do
    [ -d "$place/node_modules" ] || (cd "$place" && npm ci --ignore-scripts --no-audit --no-fund) || leave_out "npm cannot install what $place needs"
done

case "${1:-}" in
    measure | screenshots)
        cargo build --locked --release
        export CAPTIONWIRE_BIN="${CAPTIONWIRE_BIN:-${CARGO_TARGET_DIR:-target}/release/captionwire}"
        cd tests/browser && exec node "$1.mjs"
        ;;
esac

[ -n "${CAPTIONWIRE_BIN:-}" ] || cargo build --locked
sh scripts/web.sh --check
(cd web && node --test test/*.test.mjs)
(cd clients/js && npm test --silent)
(cd tests/browser && node --test --test-concurrency=1 *.test.mjs)
