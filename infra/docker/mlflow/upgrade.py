"""Bring MLflow's two databases to the version of this image; empty ones are left to the server."""

import configparser
import os

import sqlalchemy

STORE = os.environ["MLFLOW_BACKEND_STORE_URI"]


def accounts() -> str:
    """Address of the database of accounts."""
    config = configparser.ConfigParser(interpolation=None)
    config.read(os.environ["MLFLOW_AUTH_CONFIG_PATH"])
    return config["mlflow"]["database_uri"]


def filled(uri: str, table: str) -> bool:
    """Whether the database holds MLflow's tables already."""
    engine = sqlalchemy.create_engine(uri)
    try:
        return sqlalchemy.inspect(engine).has_table(table)
    finally:
        engine.dispose()


if filled(STORE, "alembic_version"):
    # Not on the command line, where the password in the address could be seen.
    import mlflow.store.db.utils

    engine = sqlalchemy.create_engine(STORE)
    mlflow.store.db.utils._upgrade_db(engine)
    engine.dispose()
    print("runs: up to date")
if filled(accounts(), "users"):
    from mlflow.server.auth.db.utils import migrate

    engine = sqlalchemy.create_engine(accounts())
    migrate(engine, "head")
    engine.dispose()
    print("accounts: up to date")
