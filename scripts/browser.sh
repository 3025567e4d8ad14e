#!/bin/sh
# The client library and the pages: that what is built is what the sources make, the library against the real server, and the
# pages in Debian's Chromium. Installs Node, npm and Chromium where it may, and what they need from npm. Where it cannot, it
# says so loudly and passes; in CI (`CI` is set, or --strict) it fails.
# `scripts/browser.sh measure` prints how fast the pages are, `scripts/browser.sh screenshots` makes docs/screenshots anew, and
# `scripts/browser.sh --prepare` only installs.
set -eu
cd "$(dirname "$0")/.."

. scripts/packages.sh

if [ "${1:-}" = --strict ]; then
    export CI=true
    shift
fi

pass_over() {
    leave_out "the pages in a browser ($1)"
    exit 0
}

is_there() {
    command -v node >/dev/null && command -v npm >/dev/null &&
        { [ -n "${CHROMIUM:-}" ] || [ -x /usr/bin/chromium ] || [ -x /usr/bin/chromium-browser ] || [ -x /usr/bin/google-chrome ]; }
}

packages=""
command -v node >/dev/null || packages="nodejs"
command -v npm >/dev/null || packages="$packages npm"
[ -x /usr/bin/chromium ] || packages="$packages chromium"
# shellcheck disable=SC2086 # one word for each package
is_there || install_packages $packages || true
is_there || pass_over "needs nodejs, npm and chromium"
major="$(node -p 'process.versions.node.split(".")[0]')"
[ "$major" -ge 20 ] || pass_over "needs Node 20 or newer, this is $major"
for place in clients/js web tests/browser; do
    [ -d "$place/node_modules" ] || (cd "$place" && npm ci --ignore-scripts --no-audit --no-fund) || pass_over "npm cannot install what $place needs"
done

case "${1:-}" in
    --prepare) exit ;;
    measure | screenshots)
        cargo build --locked --release
        export CAPTIONWIRE_BIN="${CAPTIONWIRE_BIN:-${CARGO_TARGET_DIR:-target}/release/captionwire}"
        cd tests/browser && exec node "$1.mjs"
        ;;
esac

. scripts/flags.sh
[ -n "${CAPTIONWIRE_BIN:-}" ] || build_program
sh scripts/web.sh --check
(cd web && node --test test/*.test.mjs)
(cd clients/js && npm test --silent)
(cd tests/browser && node --test --test-concurrency=1 *.test.mjs)
