#!/bin/sh
# Plays captions over a video in Chromium, with hls.js: tests/browser/hls. Installs what that needs where it may, and says
# that it is left out where it may not; where `CI` is set, that is a failure. `--prepare` only installs.
set -eu
cd "$(dirname "$0")/.."
. scripts/packages.sh

have() {
    command -v "$1" >/dev/null 2>&1
}

missing=""
for program in chromium ffmpeg npm; do
    have "$program" || missing="$missing $program"
done
# Debian's npm brings its Node.js.
# shellcheck disable=SC2086 # one word for each package
[ -z "$missing" ] || install_packages $missing || true

what="captions in a browser (needs chromium, ffmpeg, and Node.js 18 or newer with npm)"
if ! { have chromium && have ffmpeg && have npm && node -e 'process.exit(parseInt(process.versions.node) < 18 ? 1 : 0)'; }; then
    leave_out "$what"
    exit
fi
if ! (cd tests/browser/hls && npm ci --no-audit --no-fund); then
    leave_out "$what: npm could not get its packages"
    exit
fi
[ "${1:-}" != --prepare ] || exit 0
. scripts/flags.sh
build_program
CAPTIONWIRE_BIN="$(pwd)/target/debug/captionwire"
[ -z "${CARGO_TARGET_DIR:-}" ] || CAPTIONWIRE_BIN="$CARGO_TARGET_DIR/debug/captionwire"
CHROMIUM="$(command -v chromium)"
export CAPTIONWIRE_BIN CHROMIUM
cd tests/browser/hls
timeout 300 node test.mjs
