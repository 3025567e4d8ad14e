#!/bin/sh
# Builds the pages from web/ into src/server/viewer, where the server takes them from. Needs Node 20 and npm; a build of the
# server needs neither. `scripts/web.sh --check` only sees that what lies there is what the sources make.
set -eu
cd "$(dirname "$0")/../web"
[ -d node_modules ] || npm ci --ignore-scripts --no-audit --no-fund
npm run --silent check
node build.mjs "$@"
