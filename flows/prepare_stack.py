"""`python -m flows.prepare_stack`: what a stack needs once its servers answer; safe to repeat.

The bucket, MLflow's accounts, the work pool with its queues, limits, deployments, blocks. It runs
with the administrator's credentials, in a container of its own that ends; workers have fewer.
"""

from __future__ import annotations

import os
import sys

import httpx

from components.errors import ConfigError, NightforgeError, ServiceError
from components.settings import Settings
from components.versioning.objects import open_store, s3_settings
from flows.connection import answering, connect
from flows.stack import MLFLOW_NAME, MLFLOW_PASSWORD, Stack

BUCKET_VARIABLE = "S3_BUCKET"
# Accounts beside the administrator's, as name and the variable that holds the password.
ACCOUNTS = {"worker": "MLFLOW_WORKER_PASSWORD", "reader": "MLFLOW_READER_PASSWORD"}
SECONDS = 30.0


def main() -> None:
    """One line for each thing that is ready; a trouble is one line too, and status 1."""
    try:
        _prepare(Settings.from_environment(os.environ))
    except NightforgeError as error:
        sys.exit(f"error: {error}")


def _prepare(settings: Settings) -> None:
    settings.ensure_home()
    with open_store(f"s3://{_needed(BUCKET_VARIABLE)}", s3_settings(settings)) as store:
        store.ensure_bucket()
    _say("bucket")
    stack = Stack(settings)
    addresses = stack.join()
    for name, variable in ACCOUNTS.items():
        _ensure_account(addresses.mlflow, name, _needed(variable))
    _say("accounts")
    connect(settings, addresses)
    from flows.deployments import register_all
    from flows.notifications import prepare_blocks

    with answering(settings):
        register_all(settings)
        for line in prepare_blocks(settings):
            _say(f"! {line}")
    _say("work pool, limits, deployments")


def _ensure_account(mlflow: str, name: str, password: str) -> None:
    """Make an account, or give it the password of today's .env."""
    admin = (_needed(MLFLOW_NAME), _needed(MLFLOW_PASSWORD))
    users = f"{mlflow}/api/2.0/mlflow/users"
    told = {"username": name, "password": password}
    try:
        with httpx.Client(auth=admin, timeout=SECONDS) as client:
            exists = client.get(f"{users}/get", params={"username": name}).status_code == 200
            if exists:
                answer = client.patch(f"{users}/update-password", json=told)
            else:
                answer = client.post(f"{users}/create", json=told)
    except httpx.HTTPError as error:
        raise _no_account(name, str(error)) from None
    if answer.is_error:
        raise _no_account(name, f"status {answer.status_code}: {answer.text[:200]}")


def _no_account(name: str, got: str) -> ServiceError:
    return ServiceError(
        f"MLflow's account {name}",
        got=got,
        wanted="an account that the administrator may make",
        remedy="See `docker compose logs mlflow` and the passwords in .env.",
    )


def _needed(variable: str) -> str:
    if value := os.environ.get(variable):
        return value
    raise ConfigError(
        variable,
        got="nothing",
        wanted="a value",
        remedy="docker-compose.yml passes it on from .env, which `make env` writes.",
    )


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
