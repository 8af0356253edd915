#!/usr/bin/env python3
"""Write .env with random passwords for docker-compose.yml; `make env` runs it."""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path

PASSWORDS = {
    "POSTGRES_PASSWORD": "the database's superuser, for backups only",
    "MLFLOW_DB_PASSWORD": "MLflow's user in the database",
    "PREFECT_DB_PASSWORD": "Prefect's user in the database",
    "S3_ACCESS_KEY_ID": "the object store's key, held by MLflow and the init job",
    "S3_SECRET_ACCESS_KEY": "and its secret",
    "MLFLOW_ADMIN_PASSWORD": "MLflow's account admin, for people who manage accounts",
    "MLFLOW_WORKER_PASSWORD": "MLflow's account worker: writes what it made itself",
    "MLFLOW_READER_PASSWORD": "MLflow's account reader: looks at everything, changes nothing",
    "MLFLOW_FLASK_SERVER_SECRET_KEY": "signs MLflow's forms",
}


def text() -> str:
    """The file's content."""
    lines = ["# Written by `make env`. Keep it secret; a backup is worthless without it."]
    for name, meaning in PASSWORDS.items():
        lines += [f"# {meaning}", f"{name}={secrets.token_hex(16)}"]
    lines += [
        "# name:password of Prefect's server; the name is always admin",
        f"PREFECT_AUTH_STRING=admin:{secrets.token_hex(16)}",
        "# store: the stack's own object store; add gpu, serve, cluster or tls with commas between",
        "COMPOSE_PROFILES=store",
    ]
    return "\n".join(lines) + "\n"


def main(path: Path) -> int:
    """Write `path` for its owner alone, unless it exists."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        sys.stderr.write(
            f"error: {path}: got a file, wanted none. The stack's volumes hold its passwords; to "
            "begin anew, remove both: docker compose down --volumes, then the file.\n"
        )
        return 1
    with os.fdopen(handle, "w", encoding="utf-8") as out:
        out.write(text())
    sys.stdout.write(f"{path}: random passwords, readable by you alone\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else ".env")))
