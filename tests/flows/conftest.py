"""Real embedded servers for the tests of this folder, one set for the session."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.installation import Installation, params_without_sources, running


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    """A fresh state directory; nothing is started."""
    return Installation(tmp_path / "home", params_without_sources(tmp_path / "params.yaml"))


@pytest.fixture(scope="package")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Running servers and worker; stopped when this folder's tests are over."""
    with running(tmp_path_factory.mktemp("servers")) as servers:
        yield servers
