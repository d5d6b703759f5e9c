#!/usr/bin/env bash
# What `npm test` runs. Arguments go to vitest: `npm test -- test/hub`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

types=
types_log=$(mktemp)
trap 'if [[ -n $types ]]; then kill "$types" 2>/dev/null || true; fi; rm -f "$types_log"' EXIT

stopped() {
  echo "npm test stopped: '$*' failed, no test was run."
  exit 1
}

step() {
  echo "── $*"
  "$@" || stopped "$@"
}

step bash test/support/bootstrap.sh
# Half of what comes before the tests, on a core of its own.
npm run --silent types > "$types_log" 2>&1 &
types=$!
step npx biome check .
step npm run --silent build
step npm run --silent build:client
echo '── npm run --silent types'
wait "$types" || { cat "$types_log"; stopped npm run --silent types; }
rm "$types_log"
# An `exec` leaves no shell behind to do it.
trap - EXIT
echo '── npx vitest run'
exec npx vitest run --config test/vitest.config.ts "$@"
