"""The DVC workspace in the state directory, driven through DVC's command line."""

from __future__ import annotations

import fcntl
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

import components.errors
from components.datasets import DATASETS
from components.datasets.base import SOURCE_FILE, DatasetSpec, Split, load_prepared
from components.datasets.stage import data_config
from components.errors import DataError, VersioningError
from components.settings import ERROR_FILE_VARIABLE, PREFIX, PROJECT_ROOT, Settings

VERSION_LEDGER = "dataset-versions.jsonl"
RUNNING = re.compile(r"^Running stage '(?P<stage>[^']+)'", re.MULTILINE)


@dataclass(frozen=True)
class DatasetVersion:
    """A prepared dataset as it stands in the workspace.

    Attributes:
        name: Key in the catalog.
        version: DVC's md5 of the prepared folder.
        source: Where the raw files came from.
        sample: True for a bundled stand-in.
        counts: Images per split.
        directory: The prepared folder.
        ran: Stages that had to run to get here; empty when nothing changed.
    """

    name: str
    version: str
    source: str
    sample: bool
    counts: Mapping[Split, int]
    directory: Path
    ran: tuple[str, ...] = ()


class DvcWorkspace:
    """Runs the stages of dvc.yaml in `$NIGHTFORGE_HOME/workspace`.

    The clone is only read: dvc.yaml, params.yaml and the sources that the stages depend on are
    mirrored into the workspace, where DVC sees when one of them changes.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._root = settings.workspace

    def reproduce(self, name: str, on_line: Callable[[str], None] = print) -> DatasetVersion:
        """Bring a dataset up to date.

        Args:
            name: Key in the catalog.
            on_line: Receives DVC's output, line by line.

        Raises:
            DataError: What the fetch or prepare stage found; what was there before is intact.
            VersioningError: If DVC itself fails.
        """
        spec = DATASETS.get(name)
        with self._one_at_a_time():
            return self._reproduce(spec, on_line)

    @contextmanager
    def _one_at_a_time(self) -> Iterator[None]:
        # DVC's own --wait-for-lock does not wait for the locks of single outputs.
        lock = self._settings.ensure_home() / "workspace.lock"
        with lock.open("w") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            yield

    def _reproduce(self, spec: DatasetSpec, on_line: Callable[[str], None]) -> DatasetVersion:
        name = spec.name
        self._synchronise()
        restored = self._restore(name)
        error_file = self._root / ".stage-error.json"
        error_file.unlink(missing_ok=True)
        target = f"prepare@{name}"
        code, output = self._dvc(["--wait-for-lock", "repro", target], on_line, error_file)
        if code != 0:
            raise _stage_error(error_file) or _dvc_error(target, code, output)
        directory = self._folder("prepared", name)
        prepared = load_prepared(directory)
        ran = tuple(match["stage"] for match in RUNNING.finditer(output))
        source = self._source(name)
        version = DatasetVersion(
            name=name,
            version=self._locked_md5(target),
            source=f"DVC cache, from {source}" if restored and not ran else source,
            sample=spec.sample,
            counts={split: prepared.count(split) for split in Split},
            directory=directory,
            ran=ran or (("restored from the DVC cache",) if restored else ()),
        )
        self._remember(version)
        return version

    def _folder(self, kind: str, name: str) -> Path:
        return self._root / "data" / kind / name

    def _restore(self, name: str) -> bool:
        """Bring back a deleted output from the cache; True if that was needed and worked."""
        folders = [self._folder(kind, name) for kind in ("raw", "prepared")]
        if all(folder.exists() for folder in folders) or not (self._root / "dvc.lock").exists():
            return False
        code, _ = self._dvc(["--wait-for-lock", "checkout", f"fetch@{name}", f"prepare@{name}"])
        return code == 0 and all(folder.exists() for folder in folders)

    def _synchronise(self) -> None:
        for path in sorted((PROJECT_ROOT / "components" / "datasets").glob("*.py")):
            _mirror(path, self._root / path.relative_to(PROJECT_ROOT))
        _mirror(PROJECT_ROOT / "dvc.yaml", self._root / "dvc.yaml")
        _write(self._root / "params.yaml", self._data_params())
        if not (self._root / ".dvc" / "config").exists():
            code, output = self._dvc(["init", "--no-scm", "--force", "--quiet"])
            if code != 0:
                raise _dvc_error("init", code, output)

    def _data_params(self) -> bytes:
        """The data section with its defaults filled in: DVC refuses a parameter it cannot find."""
        path = self._settings.params_file
        sections = {name: data_config(path, name).model_dump(mode="json") for name in DATASETS}
        return yaml.safe_dump({"data": sections}, sort_keys=False).encode()

    def _dvc(
        self,
        arguments: list[str],
        on_line: Callable[[str], None] | None = None,
        error_file: Path | None = None,
    ) -> tuple[int, str]:
        environment = {
            **os.environ,
            "DVC_NO_ANALYTICS": "1",
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
            # Not the mirrored sources in the workspace, whatever a relative entry may say.
            "PYTHONPATH": str(PROJECT_ROOT),
            PREFIX + "HOME": str(self._settings.home),
        }
        if self._settings.data_dir:
            environment[PREFIX + "DATA_DIR"] = str(self._settings.data_dir)
        if error_file:
            environment[ERROR_FILE_VARIABLE] = str(error_file)
        process = subprocess.Popen(
            [sys.executable, "-m", "dvc", *arguments],
            cwd=self._root,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        assert process.stdout is not None
        lines = []
        with process:
            for line in process.stdout:
                lines.append(line)
                if on_line and line.strip():
                    on_line(line.rstrip())
        return process.returncode, "".join(lines)

    def _locked_md5(self, stage: str) -> str:
        lock: dict[str, Any] = yaml.safe_load((self._root / "dvc.lock").read_text("utf-8"))
        md5: str = lock["stages"][stage]["outs"][0]["md5"]
        return md5.removesuffix(".dir")

    def _source(self, name: str) -> str:
        path = self._folder("raw", name) / SOURCE_FILE
        source: str = json.loads(path.read_text("utf-8"))["source"]
        return source

    def _remember(self, version: DatasetVersion) -> None:
        ledger = self._settings.home / VERSION_LEDGER
        known = ledger.read_text("utf-8") if ledger.exists() else ""
        if f'"{version.version}"' in known:
            return
        entry = {
            "name": version.name,
            "version": version.version,
            "source": version.source,
            "counts": dict(version.counts),
            "first_seen": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        with ledger.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(entry) + "\n")
            stream.flush()
            os.fsync(stream.fileno())


def _mirror(source: Path, target: Path) -> None:
    _write(target, source.read_bytes())


def _write(target: Path, content: bytes) -> None:
    if target.exists() and target.read_bytes() == content:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(target.name + ".tmp")
    temporary.write_bytes(content)
    os.replace(temporary, target)


def _stage_error(path: Path) -> DataError | None:
    if not path.exists():
        return None
    kind, subject, got, wanted, remedy = json.loads(path.read_text("utf-8"))
    error: DataError = getattr(components.errors, kind)(
        subject, got=got, wanted=wanted, remedy=remedy
    )
    return error


def _dvc_error(target: str, code: int, output: str) -> VersioningError:
    lines = [line.strip() for line in output.splitlines() if line.startswith("ERROR")]
    return VersioningError(
        f"dvc {target}",
        got=f"exit status {code} ({' '.join(lines)[-300:] or 'no message'})",
        wanted="exit status 0",
        remedy="Run the same command in the workspace folder to see more.",
    )
