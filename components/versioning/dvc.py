"""The DVC workspace in the state directory: datasets brought up to date, version by version."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from components.datasets import DATASETS
from components.datasets.base import SOURCE_FILE, DatasetSpec
from components.datasets.own import OwnConfig, describe_source
from components.datasets.prepared import load, read_card
from components.datasets.sections import OWN_FILE, Datasets
from components.errors import DataError, VersioningError
from components.settings import PROJECT_ROOT, REFRESH_VARIABLE, Settings
from components.versioning.command import Dvc, OnLine
from components.versioning.mirror import (
    MAIN,
    OPTIONAL,
    OWN,
    as_yaml,
    chosen,
    own_pipeline,
    write,
)
from components.versioning.versions import (
    DatasetChange,
    DatasetVersion,
    Dropped,
    VersionLedger,
    VersionRecord,
    compare_listings,
    read_listing,
)

if TYPE_CHECKING:  # boto3 takes its time, and few datasets come from a bucket
    from components.versioning.objects import ObjectStore

RUNNING = re.compile(r"^Running stage '(?:[^']*:)?(?P<stage>[^':]+)'", re.MULTILINE)
KEPT_FOLDERS = 2  # of each dataset; older versions come back from DVC's cache when asked for


class DvcWorkspace:
    """Runs the stages of dvc.yaml in `$NIGHTFORGE_HOME/workspace`.

    The clone is only read: the pipelines, the parameters and the sources that the stages depend
    on are mirrored into the workspace, where DVC sees when one of them changes. A person's own
    datasets have a pipeline of their own there.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.root = settings.workspace
        self.dvc = Dvc(self.root, settings)
        self.ledger = VersionLedger(settings.home)

    def datasets(self) -> Datasets:
        """The catalog's datasets and a person's own.

        Raises:
            ConfigError: If a section names a dataset that does not exist.
        """
        return Datasets(self.settings.params_file, self.settings.home / OWN_FILE)

    def objects(self, url: str) -> ObjectStore:
        """Open an s3:// address with this installation's endpoint."""
        from components.versioning.objects import open_store, s3_settings

        return open_store(url, s3_settings(self.settings))

    def reproduce(
        self, name: str, on_line: OnLine = print, *, again: bool = False
    ) -> DatasetVersion:
        """Bring a dataset up to date.

        Args:
            name: Key in the catalog, or a person's own dataset.
            on_line: Receives DVC's output, line by line.
            again: Ask the source again, even if nothing here has changed.

        Raises:
            DataError: What the fetch or prepare stage found; what was there before is intact.
            VersioningError: If DVC itself fails.
        """
        return self.reproduce_all([name], on_line, again=again)[name]

    def reproduce_all(
        self, names: Sequence[str], on_line: OnLine = print, *, again: bool = False
    ) -> dict[str, DatasetVersion]:
        """Bring several datasets up to date in one run of DVC, which takes seconds to start.

        Raises:
            DataError: What a stage of one of them found; see `reproduce`.
            VersioningError: If DVC itself fails.
        """
        if not names:
            return {}
        specs = [self.datasets().spec(name) for name in names]
        with self.lock():
            self.synchronise()
            for name in names:
                self._describe_own(name)
            restored = {name for name in names if self._restore(name)}
            if again:
                fetches = [self.stage("fetch", name) for name in names]
                command = ["repro", "--force", "--single-item", *fetches]
                self.dvc.run(command, on_line, {REFRESH_VARIABLE: "1"})
            targets = [self.stage("prepare", name) for name in names]
            output = self.dvc.run(["repro", *targets], on_line)
            ran = [match["stage"] for match in RUNNING.finditer(output)]
            found = {}
            for spec in specs:
                mine = tuple(stage for stage in ran if stage.partition("@")[2] == spec.name)
                if spec.name in restored and not mine:
                    mine = ("restored from the DVC cache",)
                found[spec.name] = self._version(spec, mine)
            return found

    def current(self, name: str) -> DatasetVersion | None:
        """The version this workspace holds, as DVC's cache has it; None if there is none yet.

        Nothing is fetched: this is what remains usable when the sources are away.
        """
        spec = self.datasets().spec(name)
        with self.lock():
            self.synchronise()
            if self._locked(name) is None:
                return None
            try:
                self.dvc.run(["checkout", "--force", self.stage("prepare", name)])
                return self._version(spec, ())
            except (DataError, VersioningError):
                return None

    def checkout(self, name: str, version: str) -> Path:
        """A folder with an earlier version, given by the first characters of its md5.

        Raises:
            UnknownKeyError: If the ledger has no such version.
            VersioningError: If DVC's cache lacks it.
        """
        record = self.ledger.find(name, version)
        with self.lock():
            self.synchronise()
            folder = self.version_folder(name, record.version)
            if not folder.exists():
                self.dvc.run(["checkout", str(self.pointer(record).relative_to(self.root))])
        load(folder)
        return folder

    def back(self, record: VersionRecord) -> None:
        """Note that the data of a version are here again, if they had been removed."""
        if self.ledger.dropped(record.name, record.version):
            back = Dropped(name=record.name, version=record.version, dropped=None, remote=None)
            self.ledger.note([back])

    @contextmanager
    def lock(self) -> Iterator[None]:
        """One user of the workspace at a time."""
        # DVC's own --wait-for-lock does not wait for the locks of single outputs.
        lock = self.settings.ensure_home() / "workspace.lock"
        with lock.open("w") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            yield

    def stage(self, kind: str, name: str) -> str:
        """DVC's name of a dataset's stage, as `dvc repro` takes it."""
        pipeline = self.pipeline(name)
        stage = f"{kind}@{name}"
        return stage if pipeline == MAIN else f"{pipeline}:{stage}"

    def pipeline(self, name: str) -> str:
        """The pipeline file, relative to the workspace, that has the dataset's stages."""
        if name not in DATASETS:
            return OWN
        return OPTIONAL if DATASETS.get(name).optional else MAIN

    def folder(self, kind: str, name: str) -> Path:
        """Where the stages leave a dataset; `kind` is raw or prepared."""
        return self.root / "data" / kind / name

    def version_folder(self, name: str, version: str) -> Path:
        """Where one version stays as it is."""
        return self.root / "data" / "versions" / name / version

    def pointer(self, record: VersionRecord) -> Path:
        """The .dvc file by which DVC reaches a version; written if need be."""
        folder = self.version_folder(record.name, record.version)
        path = folder.with_name(folder.name + ".dvc")
        out = {"md5": f"{record.version}.dir", "hash": "md5", "path": folder.name}
        write(path, yaml.safe_dump({"outs": [out]}, sort_keys=False).encode())
        return path

    def synchronise(self) -> None:
        """Mirror pipelines, parameters and sources into the workspace.

        Raises:
            ConfigError: If a dataset's section is wrong.
        """
        datasets = self.datasets()
        for path in sorted((PROJECT_ROOT / "components" / "datasets").glob("*.py")):
            write(self.root / path.relative_to(PROJECT_ROOT), path.read_bytes())
        for pipeline in (MAIN, OPTIONAL):
            write(self.root / pipeline, (PROJECT_ROOT / pipeline).read_bytes())
        sections = {name: datasets.config(name).section() for name in datasets}
        # DVC refuses a parameter it cannot find: here the defaults are filled in.
        write(self.root / "params.yaml", as_yaml({"data": chosen(sections, DATASETS)}))
        write(self.root / OWN_FILE, as_yaml(chosen(sections, datasets.own)))
        if datasets.own:
            write(self.root / OWN, own_pipeline(list(datasets.own)))
        else:
            (self.root / OWN).unlink(missing_ok=True)
        if not (self.root / ".dvc" / "config").exists():
            self.dvc.run(["init", "--no-scm", "--force", "--quiet"])
            self.dvc.run(["config", "core.check_update", "false"])  # it asks a server every day

    def _describe_own(self, name: str) -> None:
        """Leave a listing of an own dataset's source, on which its fetch stage depends."""
        if name in DATASETS:
            return
        config = self.datasets().config(name).fetch
        assert isinstance(config, OwnConfig)
        lines = "\n".join(describe_source(config, self.objects))
        write(self.root / "data" / "manifests" / f"{name}.txt", lines.encode("utf-8"))

    def _restore(self, name: str) -> bool:
        """Bring back a deleted output from the cache; True if that was needed and worked."""
        folders = [self.folder(kind, name) for kind in ("raw", "prepared")]
        if all(folder.exists() for folder in folders) or self._locked(name) is None:
            return False
        try:
            self.dvc.run(["checkout", self.stage("fetch", name), self.stage("prepare", name)])
        except VersioningError:
            return False  # then the stages run again
        return all(folder.exists() for folder in folders)

    def _locked(self, name: str) -> dict[str, Any] | None:
        """The entries of dvc.lock for the dataset's two stages."""
        path = self.root / Path(self.pipeline(name)).with_name("dvc.lock")
        if not path.exists():
            return None
        content = yaml.safe_load(path.read_text("utf-8"))
        if not isinstance(content, dict):
            return None  # DVC says what is wrong with it
        stages = content.get("stages") or {}
        wanted = {kind: stages.get(f"{kind}@{name}") for kind in ("fetch", "prepare")}
        return None if None in wanted.values() else wanted

    def _version(self, spec: DatasetSpec, ran: tuple[str, ...]) -> DatasetVersion:
        name, locked = spec.name, self._locked(spec.name)
        assert locked
        raw, version = (_output(locked[kind]) for kind in ("fetch", "prepare"))
        prepared = self.folder("prepared", name)
        load(prepared)
        card, source = read_card(prepared), self._source(name)
        record = VersionRecord(
            name=name,
            version=version,
            raw=raw,
            first_seen=datetime.now(UTC).isoformat(timespec="seconds"),
            source=source,
            own=name not in DATASETS,
            card=card,
            section=self.datasets().config(name).section(),
            lock=locked,
        )
        change = self._change(record)
        self.ledger.add([record])
        self.back(record)
        self.pointer(record)
        folder = self._keep(record, prepared)
        return DatasetVersion(name, version, source, spec.sample, card.counts, folder, ran, change)

    def _source(self, name: str) -> str:
        path = self.folder("raw", name) / SOURCE_FILE
        if path.exists():
            source: str = json.loads(path.read_text("utf-8"))["source"]
            return source
        known = self.ledger.records(name)
        return known[-1].source if known else "unknown"

    def _change(self, record: VersionRecord) -> DatasetChange | None:
        known = self.ledger.records(record.name)
        if not record.own or not known or known[-1].version == record.version:
            return None
        cache = self.root / ".dvc" / "cache"
        old, new = read_listing(cache, known[-1].raw), read_listing(cache, record.raw)
        if old is None or new is None:
            return None
        files = [  # without the folder that all of them lie in
            {path.partition("/")[2]: md5 for path, md5 in listing.items() if "/" in path}
            for listing in (old, new)
        ]
        return compare_listings(known[-1].version, *files)

    def _keep(self, record: VersionRecord, prepared: Path) -> Path:
        """Give a version a folder of its own: hard links, since stages replace and never write."""
        folder = self.version_folder(record.name, record.version)
        if not _same_files(prepared, folder):
            shutil.rmtree(folder, ignore_errors=True)
            staging = folder.with_name(folder.name + ".new")
            shutil.rmtree(staging, ignore_errors=True)
            staging.mkdir(parents=True)
            for file in prepared.iterdir():
                os.link(file, staging / file.name)
            os.rename(staging, folder)
        folder.touch()
        folders = sorted(
            (path for path in folder.parent.iterdir() if path.is_dir()),
            key=lambda path: path.stat().st_mtime,
        )
        for old in folders[:-KEPT_FOLDERS]:
            shutil.rmtree(old)
        return folder


def _same_files(one: Path, other: Path) -> bool:
    """Whether two folders hold links to the same files; not so once DVC has healed one of them."""
    if not other.is_dir():
        return False
    nodes = [{(p.name, p.stat().st_ino) for p in folder.iterdir()} for folder in (one, other)]
    return nodes[0] == nodes[1]


def _output(stage: dict[str, Any]) -> str:
    md5: str = stage["outs"][0]["md5"]
    return md5.removesuffix(".dir")
