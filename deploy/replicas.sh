#!/usr/bin/env bash
# Two replicas behind the proxy, asked at a constant rate: replicas are killed and come back, then each is replaced, one
# after the other, as a rolling update does. Prints, phase by phase, what was answered and what was lost.
# Needs Docker, curl and Python 3.11 or later. RATES="--short-rate 400 --long-rate 40" asks more.
set -euo pipefail
cd "$(dirname "$0")/.."
export COMPOSE_PROJECT_NAME=heed-replicas COMPOSE_PROFILES=replicas
export PROXY_PORT=${PROXY_PORT:-8080} PROXY_STATISTICS_PORT=${PROXY_STATISTICS_PORT:-8404}
ADDRESS=http://127.0.0.1:$PROXY_PORT STATISTICS=http://127.0.0.1:$PROXY_STATISTICS_PORT
read -ra RATES <<<"${RATES:-}"
FOLDER=$(mktemp -d)

say() { printf '\n== %s\n' "$*"; }
fail() { printf 'replicas: %s\n' "$*" >&2; exit 1; }
down() { docker compose down --volumes --timeout 20 >/dev/null 2>&1 || true; }
leave() { kill "${LOAD:-}" 2>/dev/null || true; down; rm -rf "$FOLDER"; }
proxy_knows() { curl -s "$STATISTICS/;csv" | grep -q "^heed,$1,.*,$2,"; }

# until_true SECONDS COMMAND...
until_true() {
    local end=$((SECONDS + $1)); shift
    until "$@"; do [ "$SECONDS" -lt "$end" ] || fail "not so in time: $*"; sleep 0.2; done
}

# phase NAME SECONDS COMMAND...: so long a load, and the command while it lasts
phase() {
    local name=$1 seconds=$2 begun=$SECONDS; shift 2
    python3 -m deploy.constant_load "$name" "$seconds" --address "$ADDRESS" --statistics "$STATISTICS" \
        "${RATES[@]}" >>"$FOLDER/table" & LOAD=$!
    sleep 3
    ("$@") >"$FOLDER/output" 2>&1 || { cat "$FOLDER/output" >&2; fail "$* failed"; }
    [ $((SECONDS - begun)) -lt "$seconds" ] || fail "'$name' took longer than its load of $seconds seconds"
    wait "$LOAD" || fail "the load failed"
    tail -n 2 "$FOLDER/table"
}

kill_and_start() {
    local replica
    for replica in "$@"; do
        docker compose kill --signal KILL "$replica"
        sleep 4
        docker start "$(docker compose ps --all --quiet "$replica")"
        until_true 60 proxy_knows "$replica" UP
        sleep 1
    done
}

# The proxy is not told: it learns from the replica's own 503, or from a closed port.
replace() {
    local replica
    for replica in replica-1 replica-2; do
        docker compose up --detach --no-deps --force-recreate --wait "$replica"
        until_true 60 proxy_knows "$replica" UP
        sleep 1
    done
}

docker info >/dev/null 2>&1 || fail "no Docker engine answers"
trap leave EXIT
down

say "build, train, publish, serve"
docker compose build --quiet export replica-1 replica-2 proxy
docker compose up --detach --wait proxy
until_true 60 curl -sfo /dev/null "$ADDRESS/v2/health/ready"
docker compose ps --format '{{.Service}} {{.Status}}'

say "constant load"
printf '| phase | request | asked | 200 | other status | no answer | p50 ms | p99 ms | sent again |\n' | tee "$FOLDER/table"
printf '| --- | --- | --- | --- | --- | --- | --- | --- | --- |\n' | tee -a "$FOLDER/table"
phase "nothing happens" 20 true
phase "four kills" 120 kill_and_start replica-1 replica-2 replica-1 replica-2
phase "both replaced" 100 replace
phase "nothing happens" 20 true

say "what the proxy could not answer with 200: how often, the status, and who ended it (HAProxy's termination state)"
docker logs "$(docker compose ps --quiet proxy)" 2>/dev/null |
    awk '$3 == "clients" && ($6 != 200 || $10 != "----") { print $6, $10 }' | sort | uniq -c
say "replicas passed: the table is the result"
