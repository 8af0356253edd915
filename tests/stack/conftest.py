"""One stack for all tests of this folder; `make test-stack` runs them, in the order of the file."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.installation import ROOT
from tests.stack.compose import ComposeStack, up

ARTIFACTS = ROOT / "test-artifacts"
BUILT = ("init", "mlflow", "prefect")  # the services that build an image
timelines: list[ComposeStack] = []


@pytest.fixture(scope="session")
def artifacts() -> Path:
    ARTIFACTS.mkdir(exist_ok=True)
    return ARTIFACTS


@pytest.fixture(scope="session")
def env(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stack") / ".env"


@pytest.fixture(scope="session")
def made(env: Path) -> ComposeStack:
    """A stack with passwords and images; nothing runs."""
    stack = ComposeStack("nightforge-test", env)
    stack.settings["SWEEP_RUNNER"] = "tcp://dask-scheduler:8786"
    timelines.append(stack)
    stack.make_env()
    with ThreadPoolExecutor() as together:  # one build of all would begin with the servers
        list(together.map(lambda service: stack.call("build", service), BUILT))
    stack.say("images")
    return stack


@pytest.fixture(scope="session")
def stack(made: ComposeStack) -> Iterator[ComposeStack]:
    """The whole stack, all healthy."""
    with up(made) as running:
        yield running


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for stack in timelines:
        terminalreporter.section(f"timeline of {stack.name}")
        for seconds, what in stack.timeline:
            terminalreporter.write_line(f"{seconds:6.0f} s  {what}")
