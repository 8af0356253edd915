#!/bin/bash
# A database and a user for each server, which sees nothing of the other's; run once, on an empty volume.
set -euo pipefail

statements() { psql -v ON_ERROR_STOP=1 --no-password --quiet -U "$POSTGRES_USER" -d "$1" "${@:2}"; }

make_user() { # NAME PASSWORD
    statements "$POSTGRES_DB" -v name="$1" -v password="$2" <<'SQL'
CREATE ROLE :"name" LOGIN PASSWORD :'password';
SQL
}

make_database() { # DATABASE OWNER
    statements "$POSTGRES_DB" -v name="$1" -v owner="$2" <<'SQL'
CREATE DATABASE :"name" OWNER :"owner";
REVOKE CONNECT ON DATABASE :"name" FROM PUBLIC;
SQL
}

make_user mlflow "$MLFLOW_DB_PASSWORD"
make_user prefect "$PREFECT_DB_PASSWORD"
make_database mlflow mlflow
make_database mlflow_auth mlflow
make_database prefect prefect
# Prefect's searches use it, and only a superuser may add it.
statements prefect -c 'CREATE EXTENSION IF NOT EXISTS pg_trgm'
