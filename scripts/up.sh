#!/usr/bin/env bash
# Serves the demo and its replication server until Ctrl-C. The server's data stay in .cache/data.
set -euo pipefail
cd "$(dirname "$0")/.."

demo_port=${DEMO_PORT:-8080}
server_port=${SERVER_PORT:-5984}
demo=http://localhost:$demo_port

processes=()
stop() {
  trap - EXIT INT TERM
  [ ${#processes[@]} = 0 ] || kill "${processes[@]}" 2>/dev/null || true
  wait
  exit "${1:-0}"
}
trap 'stop $?' EXIT
trap 'stop 0' INT TERM

mkdir -p .cache/data
target/release/firkin-server --listen "127.0.0.1:$server_port" --data .cache/data --open --cors "$demo" &
processes+=($!)
PORT=$demo_port FIRKIN_SERVER="http://localhost:$server_port" node demo/serve.mjs &
processes+=($!)
printf '\nThe demo: %s   (Ctrl-C ends it)\n' "$demo"
wait -n
