#!/usr/bin/env bash
# A backup into an empty stack: `make restore FILE=...`, with the .env of its time. A stack that holds anything
# already is left as it is.
set -euo pipefail
cd "$(dirname "$0")/.."
file=${1:?"error: backup: got no name, wanted a file. Say: make restore FILE=..."}
[ -s "$file" ] || {
    echo "error: $file: got no such file, wanted a backup. See make backup." >&2
    exit 1
}
work=$(mktemp -d "$(dirname "$file")/.restore.XXXXXX")
trap 'rm -rf "$work"' EXIT
tar -C "$work" -xf "$file"
(cd "$work" && sha256sum --quiet --check sums) || {
    echo "error: $file: got other bytes than were saved, wanted a complete backup. Use another." >&2
    exit 1
}
store=()
docker compose config --services | grep -qx objectstore && store=(objectstore)
docker compose up --detach --wait --quiet-pull postgres "${store[@]}" 2>"$work/log" || { cat "$work/log" >&2; exit 1; }
inside() { docker compose run --rm --no-deps -T --quiet-pull init "$@" 2>>"$work/log"; }
sql() { docker compose exec -T postgres psql -U nightforge -d "$1" -tAc "$2"; }

tables=0
for database in prefect mlflow mlflow_auth; do
    tables=$((tables + $(sql "$database" "select count(*) from pg_tables where schemaname = 'public'")))
done
objects=$(inside python /usr/local/lib/nightforge/bucket.py count) || { cat "$work/log" >&2; exit 1; }
if [ "$tables" != 0 ] || [ "$objects" != 0 ]; then
    echo "error: stack: got $tables tables and $objects objects, wanted an empty one. Make it so" \
        "(docker compose down --volumes deletes everything) or restore under another name (COMPOSE_PROJECT_NAME)." >&2
    exit 1
fi
for database in prefect mlflow mlflow_auth; do
    docker compose exec -T postgres pg_restore -U nightforge --exit-on-error -d "$database" <"$work/$database.dump"
    echo "$database: restored"
done
inside python /usr/local/lib/nightforge/bucket.py load <"$work/bucket.tar" || { cat "$work/log" >&2; exit 1; }
echo "bucket: restored"
inside tar -C /state -x <"$work/state.tar" || { cat "$work/log" >&2; exit 1; }
echo "state: restored"
docker compose up --detach --wait --quiet-pull 2>"$work/log" || { cat "$work/log" >&2; exit 1; }
echo "all healthy"
