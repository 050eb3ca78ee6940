#!/usr/bin/env bash
# Asks a running service the README's questions: deploy/ask.sh http://127.0.0.1:8000
set -euo pipefail
cd "$(dirname "$0")/.."
address=${1:-http://127.0.0.1:8000}

# The curl lines of the README, as they stand there, sent to this address.
grep -E '^curl ' README.md | sed "s|http://127.0.0.1:8000|$address|g" | while IFS= read -r line; do
    printf '$ %s\n' "$line"
    answer=$(eval "${line/curl /curl --fail-with-body }") || { printf '%s\n' "$answer"; exit 1; }
    printf '%.400s\n' "$answer"
    case $line in */predict/*) grep -q '"attention":\[{' <<<"$answer" || { echo "no attention in it" >&2; exit 1; } ;; esac
done
