#!/usr/bin/env bash
# Serves the demo and its replication server until Ctrl-C. The server's data stay in .cache/data, or in FIRKIN_DATA.
set -euo pipefail
cd "$(dirname "$0")/.."

demo_port=${DEMO_PORT:-8080}
server_port=${SERVER_PORT:-5984}
data=${FIRKIN_DATA:-.cache/data}

processes=()
stop() {
  trap - EXIT INT TERM
  [ ${#processes[@]} = 0 ] || kill "${processes[@]}" 2>/dev/null || true
  wait
  exit "${1:-0}"
}
trap 'stop $?' EXIT
trap 'stop 0' INT TERM

mkdir -p "$data"
coproc server {
  exec target/release/firkin-server --listen "127.0.0.1:$server_port" --data "$data" --open \
    --cors "http://localhost:$demo_port" --cors "http://127.0.0.1:$demo_port"
}
processes+=($!)

# Its own line says that it listens: another server that has the port must not be taken for it.
started=
read -r -t 20 -u "${server[0]:-0}" started || true
url=${started#listening on }
if [ "$url" = "$started" ]; then
  echo "The replication server did not start. If port $server_port is in use, SERVER_PORT names another." >&2
  exit 1
fi

# The database that everybody who opens the demo syncs with; 412 says that it is there already.
node --input-type=module - "$url/atlas" <<'CREATE'
const { status } = await fetch(process.argv[2], { method: 'PUT' })
if (status !== 201 && status !== 412) throw new Error(`the database ${process.argv[2]} was not created: ${status}`)
CREATE

echo "The replication server is at $url"
PORT=$demo_port FIRKIN_SERVER=$url node demo/serve.mjs &
processes+=($!)
echo 'Ctrl-C ends both.'
wait -n
