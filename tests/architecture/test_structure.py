"""The design's rules that a machine can check."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from components.datasets import DATASETS
from components.params import load_params
from components.settings import INTERNAL_VARIABLES, Settings

ROOT = Path(__file__).resolve().parents[2]
MAX_LINES = 350
SOURCES = sorted([*ROOT.glob("components/**/*.py"), *ROOT.glob("flows/**/*.py")])


def test_import_contracts_hold() -> None:
    done = subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports")],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_stay_short(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= MAX_LINES


@pytest.mark.slow
def test_training_runs_with_torch_numpy_and_pydantic_alone() -> None:
    code = (
        "import sys\n"
        "import components.training.fit, components.training.gan, components.models.lenet\n"
        "import components.datasets.device_loader, components.evaluation.classification\n"
        "bad = {'prefect', 'mlflow', 'dvc', 'boto3', 'matplotlib', 'psutil', 'yaml'}\n"
        "sys.exit(','.join(sorted(bad & set(sys.modules))) or 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr


def test_importing_the_command_line_loads_no_heavy_package() -> None:
    code = (
        "import sys, flows.cli\n"
        "sys.exit(','.join(sorted({'prefect', 'mlflow', 'torch'} & set(sys.modules))) or 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr


def test_the_readme_tree_matches_the_disk() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    block = text.split("```text tree\n")[1].split("```")[0]
    listed, folders = set(), [""]
    for line in block.splitlines():
        entry = re.match(r"^(?P<indent> *)(?P<names>[^#]+?)(?:\s{2,}.*)?$", line)
        assert entry, line
        depth = len(entry["indent"]) // 2
        for name in entry["names"].split():
            path = "/".join([*folders[1 : depth + 1], name.rstrip("/")])
            listed.add(path)
            if name.endswith("/"):
                folders[depth + 1 :] = [name.rstrip("/")]
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    missing = sorted(path for path in listed if not (ROOT / path).exists())
    assert missing == []
    expected = {path for path in tracked if re.fullmatch(r"(flows|components)/[^/]+\.py", path)}
    expected |= {path.split("/")[0] for path in tracked if "/" in path}
    expected |= {"/".join(p.split("/")[:2]) for p in tracked if re.match(r"components/\w+/", p)}
    expected |= {path for path in tracked if "/" not in path}
    expected = {path for path in expected if not path.endswith("__init__.py")}
    assert sorted(expected - listed) == []


def test_the_catalog_params_and_dvc_name_the_same_datasets() -> None:
    params = load_params(ROOT / "params.yaml")
    for path, optional in (("dvc.yaml", False), ("data/optional/dvc.yaml", True)):
        stages = yaml.safe_load((ROOT / path).read_text("utf-8"))["stages"]
        names = [name for name in DATASETS if DATASETS.get(name).optional == optional]
        for stage in stages.values():
            assert stage["matrix"]["dataset"] == names
    assert list(params["data"]) == list(DATASETS)
    assert [DATASETS.get(name).name for name in DATASETS] == list(DATASETS)


def test_every_setting_is_documented() -> None:
    text = (ROOT / "infra" / "env.example").read_text("utf-8")
    documented = set(re.findall(r"^# (NIGHTFORGE_\w+)=", text, re.MULTILINE))
    settings = {f"NIGHTFORGE_{name.upper()}" for name in Settings.model_fields}
    assert documented == settings - INTERNAL_VARIABLES


def test_the_lock_names_no_index() -> None:
    text = (ROOT / "requirements.lock").read_text("utf-8")
    assert "://" not in text
    assert "--" not in text


@pytest.mark.slow
def test_a_command_line_needs_no_pytorch() -> None:
    # It takes five seconds to import, which every command and every night without training paid.
    heavy = ("torch", "matplotlib", "mlflow", "transformers")
    code = (
        "import sys, flows.deployments\n"
        "from components.jobs import train\n"
        "from components.jobs.recipe import Recipe\n"
        "for model in train.MODELS:\n"
        "    train.training_fingerprint('version', Recipe(model=model))\n"
        f"print([m for m in {heavy} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
