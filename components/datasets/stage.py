"""What dvc.yaml runs: `python -P -m components.datasets.stage fetch|prepare NAME`.

Works in the current folder: reads params.yaml, writes data/raw/NAME or data/prepared/NAME.
The outputs are persistent for DVC and replaced in one step here, so that a stage which fails
or is killed leaves the previous version in place.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

from components.datasets import DATASETS
from components.datasets.base import SOURCE_FILE, DataConfig, DatasetSpec, FetchRequest
from components.datasets.prepare import prepare, recover_directory, replace_directory
from components.errors import DataError, NightforgeError
from components.params import check, load_params
from components.settings import ERROR_FILE_VARIABLE, PROJECT_ROOT, Settings


def data_config(params_file: Path, name: str) -> DataConfig:
    """The section `data.<name>` of a params.yaml; absent means the defaults."""
    section = (load_params(params_file).get("data") or {}).get(name) or {}
    return check(DataConfig, section, f"{params_file.name}: data.{name}")


def run_fetch(spec: DatasetSpec, config: DataConfig, data_dir: Path | None, root: Path) -> None:
    """Fill root/data/raw/NAME; beside the files, source.json names where they came from."""
    data = root / "data"
    recover_directory(data / "raw" / spec.name)
    staging = _fresh(data / "staging" / f"raw-{spec.name}")
    request = FetchRequest(
        config=config,
        data_dir=data_dir,
        samples=PROJECT_ROOT / "data" / "samples",
        present=data / "raw" / spec.name,
        destination=staging,
        partial=data / "partial" / spec.name,
        quarantine=data / "quarantine",
    )
    source = spec.fetch(request)
    (staging / SOURCE_FILE).write_text(json.dumps({"source": source}) + "\n", encoding="utf-8")
    replace_directory(staging, data / "raw" / spec.name)
    print(f"{spec.title}: fetched from {source}")


def run_prepare(spec: DatasetSpec, config: DataConfig, root: Path) -> None:
    """Turn root/data/raw/NAME into root/data/prepared/NAME."""
    data = root / "data"
    staging = _fresh(data / "staging" / f"prepared-{spec.name}")
    prepare(spec, config, data / "raw" / spec.name, staging)
    replace_directory(staging, data / "prepared" / spec.name)
    print(f"{spec.title}: prepared")


def _fresh(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def main(argv: list[str]) -> int:
    """Run one stage; on a known error, print one line and leave it for the caller to rebuild."""
    action, name = argv
    root = Path.cwd()
    try:
        spec = DATASETS.get(name)
        config = data_config(root / "params.yaml", name)
        if action == "fetch":
            run_fetch(spec, config, Settings.from_environment(os.environ).data_dir, root)
        else:
            run_prepare(spec, config, root)
    except NightforgeError as error:
        return _fail(error)
    except OSError as error:
        return _fail(
            DataError(
                name,
                got=str(error),
                wanted="a readable source and a writable workspace with space left",
                remedy="Free space or correct the permissions, then run the flow again.",
            )
        )
    return 0


def _fail(error: NightforgeError) -> int:
    print(error, file=sys.stderr)
    if path := os.environ.get(ERROR_FILE_VARIABLE):
        kind = type(error).__name__
        parts = [error.subject, error.got, error.wanted, error.remedy]
        Path(path).write_text(json.dumps([kind, *parts]), encoding="utf-8")
    return error.exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
