#!/bin/sh
# Check the live figures' JavaScript: style, types, tests. Where there is no node, or its tools cannot be fetched, this
# says so and lets it pass, unless VAE_REQUIRE_NODE=1.
cd "$(dirname "$0")/.." || exit 1

skip() {
    echo "The JavaScript was not checked: $1."
    [ "${VAE_REQUIRE_NODE:-}" != 1 ]
    exit
}

command -v npm >/dev/null || skip "there is no node"
if ! [ node_modules/.checked -nt package.json ]; then
    npm install --no-audit --no-fund --no-package-lock --silent || skip "its tools could not be fetched"
    touch node_modules/.checked
fi
set -e
node_modules/.bin/biome check .
node_modules/.bin/tsc --project .
node --test --test-reporter=dot tests/js
