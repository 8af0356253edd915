"""What dvc.yaml runs: `python -P -m components.versioning.stage fetch|prepare NAME`.

Works in the current folder: reads params.yaml and datasets.yaml, writes data/raw/NAME or
data/prepared/NAME. The outputs are persistent for DVC and replaced in one step here, so that a
stage which fails or is killed leaves the previous version in place.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from components.datasets.base import SOURCE_FILE, DataConfig, DatasetSpec, FetchRequest
from components.datasets.prepare import prepare, recover_directory, replace_directory
from components.datasets.sections import OWN_FILE, Datasets
from components.errors import DataError, NightforgeError
from components.settings import ERROR_FILE_VARIABLE, PROJECT_ROOT, REFRESH_VARIABLE, Settings
from components.versioning.objects import open_store, s3_settings


def run_fetch(
    spec: DatasetSpec, config: DataConfig, settings: Settings, root: Path, *, again: bool = False
) -> None:
    """Fill root/data/raw/NAME; beside the files, source.json names where they came from.

    With `again`, what an earlier fetch left does not count as a source.
    """
    data = root / "data"
    recover_directory(data / "raw" / spec.name)
    staging = _fresh(data / "staging" / f"raw-{spec.name}")
    request = FetchRequest(
        name=spec.name,
        config=config.fetch,
        data_dir=settings.data_dir,
        samples=PROJECT_ROOT / "data" / "samples",
        present=data / ("nothing" if again else "raw") / spec.name,
        destination=staging,
        partial=data / "partial" / spec.name,
        quarantine=data / "quarantine",
        objects=lambda url: open_store(url, s3_settings(settings)),
    )
    source = spec.fetch(request)
    (staging / SOURCE_FILE).write_text(json.dumps({"source": source}) + "\n", encoding="utf-8")
    replace_directory(staging, data / "raw" / spec.name)
    print(f"{spec.title}: fetched from {source}")


def run_prepare(spec: DatasetSpec, config: DataConfig, root: Path) -> None:
    """Turn root/data/raw/NAME into root/data/prepared/NAME."""
    data = root / "data"
    staging = _fresh(data / "staging" / f"prepared-{spec.name}")
    prepare(spec, config.prepare, data / "raw" / spec.name, staging)
    replace_directory(staging, data / "prepared" / spec.name)
    print(f"{spec.title}: prepared")


def _fresh(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def main(argv: list[str], environ: Mapping[str, str]) -> int:
    """Run one stage; on a known error, print one line and leave it for the caller to rebuild."""
    action, name = argv
    root = Path.cwd()
    try:
        datasets = Datasets(root / "params.yaml", root / OWN_FILE)
        spec, config = datasets.spec(name), datasets.config(name)
        if action == "fetch":
            again = REFRESH_VARIABLE in environ
            run_fetch(spec, config, Settings.from_environment(environ), root, again=again)
        else:
            run_prepare(spec, config, root)
    except NightforgeError as error:
        return _fail(error, environ)
    except OSError as error:
        return _fail(
            DataError(
                name,
                got=str(error),
                wanted="a readable source and a writable workspace with space left",
                remedy="Free space or correct the permissions, then run the flow again.",
            ),
            environ,
        )
    return 0


def _fail(error: NightforgeError, environ: Mapping[str, str]) -> int:
    print(error, file=sys.stderr)
    if path := environ.get(ERROR_FILE_VARIABLE):
        kind = type(error).__name__
        parts = [error.subject, error.got, error.wanted, error.remedy]
        Path(path).write_text(json.dumps([kind, *parts]), encoding="utf-8")
    return error.exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
