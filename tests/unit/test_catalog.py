from __future__ import annotations

import math
import subprocess
import sys

import pytest

from components.catalog import Catalog, unknown_key
from components.errors import UnknownKeyError
from components.settings import PROJECT_ROOT

CATALOG: Catalog[float] = Catalog("constant", {"pi": "math:pi", "tau": "math:tau"})


def test_an_entry_is_imported_when_asked_for() -> None:
    assert CATALOG.get("pi") == math.pi
    assert CATALOG.module("tau") == "math"


def test_a_catalog_lists_its_names_in_order() -> None:
    assert list(CATALOG) == ["pi", "tau"]
    assert "pi" in CATALOG
    assert "e" not in CATALOG


@pytest.mark.parametrize("look_up", [CATALOG.get, CATALOG.module])
def test_an_unknown_name_is_an_error_that_names_the_nearest(look_up) -> None:
    with pytest.raises(UnknownKeyError) as caught:
        look_up("taw")
    assert caught.value.remedy == "Did you mean 'tau'?"
    assert caught.value.subject == "constant"
    assert caught.value.wanted == "one of pi, tau"


def test_a_name_like_no_other_gets_the_whole_list() -> None:
    error = unknown_key("constant", "xyz", ["b", "a"])
    assert error.wanted == "one of a, b"
    assert "listed" in error.remedy


@pytest.mark.slow
def test_listing_models_does_not_import_their_modules() -> None:
    code = "import sys; from components.models import MODELS; list(MODELS);" + (
        "sys.exit('components.models.lenet' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=PROJECT_ROOT).returncode == 0
