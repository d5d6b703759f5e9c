#!/usr/bin/env bash
# What `npm test` runs. Arguments go to vitest: `npm test -- test/hub`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

step() {
  echo "── $*"
  "$@" || { echo "npm test stopped: '$*' failed, no test was run."; exit 1; }
}

step bash test/support/bootstrap.sh
step npx biome check .
step npm run --silent types
step npm run --silent build
step npm run --silent build:client
echo '── npx vitest run'
exec npx vitest run --config test/vitest.config.ts "$@"
