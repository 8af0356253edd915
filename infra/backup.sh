#!/usr/bin/env bash
# Everything the stack knows, in one file: `make backup [FILE=...]`. Nothing is stopped. The databases come
# first and the bucket after them, for files are written before the records that name them and never changed.
# The file holds no password: keep .env with it, in another place.
set -euo pipefail
cd "$(dirname "$0")/.."
umask 077
file=${1:-nightforge-$(date +%Y%m%d-%H%M%S).tar}
[ -e "$file" ] && {
    echo "error: $file: got a file, wanted none. Name another: make backup FILE=..." >&2
    exit 1
}
work=$(mktemp -d "$(dirname "$file")/.backup.XXXXXX")
trap 'rm -rf "$work"' EXIT

for database in prefect mlflow mlflow_auth; do
    docker compose exec -T postgres pg_dump -U nightforge --format=custom --no-comments "$database" >"$work/$database.dump"
    echo "$database: $(stat -c %s "$work/$database.dump") bytes"
done
inside() { docker compose run --rm --no-deps -T --quiet-pull init "$@" 2>>"$work/log"; }
inside python /usr/local/lib/nightforge/bucket.py save >"$work/bucket.tar" || { cat "$work/log" >&2; exit 1; }
echo "bucket: $(stat -c %s "$work/bucket.tar") bytes"
# Datasets and their versions, studies, checkpoints and reports; not what is only of use to a running process.
# What changes while it is read (status 1) belongs to a run that goes on; it is read whole after a restore.
inside sh -c 'tar -C /state --exclude=./run --exclude=./prefect --warning=no-file-changed -c . || [ $? = 1 ]' \
    >"$work/state.tar" || { cat "$work/log" >&2; exit 1; }
echo "state: $(stat -c %s "$work/state.tar") bytes"
rm -f "$work/log"
(cd "$work" && sha256sum -- * >sums)
tar -C "$work" -cf "$work.part" sums prefect.dump mlflow.dump mlflow_auth.dump bucket.tar state.tar
mv "$work.part" "$file"
echo "$file: complete"
