#!/usr/bin/env bash
# Brings the containers up as `docker compose up` does, asks the README's questions, checks what was promised of the
# images, brings them up a second time, and takes everything down. Prints what it saw.
set -euo pipefail
cd "$(dirname "$0")/.."
export COMPOSE_PROJECT_NAME=heed-staging HEED_PORT=${HEED_PORT:-8000}
ADDRESS=http://127.0.0.1:$HEED_PORT

say() { printf '\n== %s\n' "$*"; }
fail() { printf 'staging: %s\n' "$*" >&2; exit 1; }
down() { docker compose down --volumes --timeout 20 >/dev/null 2>&1 || true; }

docker info >/dev/null 2>&1 || fail "no Docker engine answers"
trap down EXIT
down

say "build"
time docker compose build
say "up: train, publish, serve"
time docker compose up --detach --wait
docker compose logs --no-log-prefix export | tail -n 20

say "the README's questions"
deploy/ask.sh "$ADDRESS"

say "what the service image holds"
docker compose exec service python -c '
import importlib.util
for name in ("torch", "onnx", "lightning", "pip"):
    assert importlib.util.find_spec(name) is None, f"{name} is in the service image"
print("no torch, onnx, lightning or pip")'
docker image inspect --format '{{.RepoTags}} {{.Size}} bytes' heed-service heed-export
docker history --format '{{.Size}}\t{{.CreatedBy}}' heed-service | cut -c1-100

say "it is confined"
[ "$(docker compose exec service id -u)" != 0 ] || fail "the service runs as root"
! docker compose exec service sh -c 'touch /heed/written 2>/dev/null' || fail "the file system can be written"
! docker compose exec service sh -c 'touch /model_repository/written 2>/dev/null' || fail "the models can be written"
docker compose exec service grep -E 'CapEff|NoNewPrivs' /proc/self/status
docker stats --no-stream --format '{{.Name}} {{.MemUsage}} {{.CPUPerc}}'

say "killed, it comes back"
# The service itself, not init: what the kernel does to a process that takes too much memory.
docker compose exec service sh -c 'kill -9 $(cat /proc/1/task/1/children)' || true
for _ in $(seq 100); do curl -sf "$ADDRESS/v2/health/ready" && break; sleep 0.2; done
curl -sf "$ADDRESS/v2/health/ready" >/dev/null || fail "it did not come back"

say "a second up retrains nothing"
docker compose down --timeout 20
time docker compose up --detach --wait
docker compose logs --no-log-prefix export | tail -n 2
[ "$(docker compose logs --no-log-prefix export | grep -c 'is up to date')" = 2 ] || fail "something was trained again"
say "staging passed"
