"""Taking stock of real files."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from toy_night import toy_context

from components.jobs.inventory import stored_flow_runs, take_stock
from components.jobs.locks import try_lock
from components.jobs.stored import Inventory, StoredFlowRun
from components.tracking.memory import MemoryStorage

RUN, PICTURED = "a" * 32, "b" * 32


def stock(home: Path) -> Inventory:
    context = toy_context(home)
    return take_stock(context, MemoryStorage(context.tracker), [], set())


def write(path: Path, tree: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(tree) if not isinstance(tree, str) else tree, encoding="utf-8")


def test_an_empty_state_directory_holds_nothing(tmp_path: Path) -> None:
    found = stock(tmp_path)
    assert not any(vars(found).values())


def test_a_report_names_what_it_shows_of_every_model_of_the_night(tmp_path: Path) -> None:
    first = {
        "flow_run": "f1",
        "links": {"MLflow run": f"http://m/#/experiments/1/runs/{RUN}?x"},
        "model": {"name": "toy-classifier", "version": 3},
        "dataset": {"name": "toy", "version": "d1"},
    }
    other = {
        "pictures": {"curves": f"http://m/get-artifact?path=a.png&run_uuid={PICTURED}"},
        "model": {"name": "toy-generator", "version": 1},
        "dataset": None,
    }
    write(tmp_path / "reports" / "f1.json", first | {"also": [other]})
    write(tmp_path / "reports" / "latest.json", first)
    write(tmp_path / "reports" / "f2.json", "half a fi")
    found = {report.flow_run: report for report in stock(tmp_path).reports}
    assert set(found) == {"f1", "f2"}
    assert found["f1"].newest
    assert found["f1"].runs == {RUN, PICTURED}
    assert found["f1"].versions == {("toy-classifier", 3), ("toy-generator", 1)}
    assert found["f1"].data == {("toy", "d1")}
    assert (found["f2"].newest, found["f2"].runs) == (False, frozenset())


def test_studies_and_checkpoints_say_whose_they_are_and_whether_they_are_in_use(
    tmp_path: Path,
) -> None:
    write(tmp_path / "studies" / "s" / "trials.jsonl", '{"id": "p", "base": {"dataset": "toy"}}\n')
    write(tmp_path / "studies" / "damaged" / "trials.jsonl", "?\n")
    write(tmp_path / "studies" / "removed" / "0000" / "last.pt", "")  # by a worker given up
    write(tmp_path / "checkpoints" / RUN / "last.pt", "")
    for name in (f"{PICTURED}.lock", f"{PICTURED}.fence", f"{RUN}.x.tmp"):
        write(tmp_path / "checkpoints" / name, "")
    with (
        try_lock(tmp_path / "studies" / "s" / "trials.jsonl"),
        try_lock(tmp_path / "checkpoints" / f"{RUN}.lock"),
    ):
        found = stock(tmp_path)
    studies = {one.name: (one.fingerprint, one.dataset, one.locked) for one in found.studies}
    assert studies == {
        "damaged": ("", "", False),
        "removed": ("", "", False),
        "s": ("p", "toy", True),
    }
    assert [(one.fingerprint, one.locked) for one in found.checkpoints] == [
        (RUN, True),
        (PICTURED, False),
    ]


def test_a_dataset_stands_for_the_one_that_replaces_it_when_its_source_is_away(
    tmp_path: Path,
) -> None:
    now = datetime.now(UTC)
    night = StoredFlowRun("f", "f", False, now, now, frozenset({"fashion_mnist"}))
    [found] = stored_flow_runs(toy_context(tmp_path), [night])
    assert found.datasets == {"fashion_mnist", "fashion_mnist_sample"}
