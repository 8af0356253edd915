"""The trial log: durable, whole, one writer at a time."""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from components.errors import StudyError
from components.tuning.log import TrialLog, read_log
from components.tuning.trial import SegmentDone, SegmentFailed
from tests.simulated import simulate, study

EVENTS = [SegmentDone(at=1.5, trial=0, resource=2), SegmentFailed(at=2, trial=1, reason="NaN")]


def written(path: Path) -> None:
    log = TrialLog(path, {"name": "a"})
    for event in EVENTS:
        log.append(event)
    log.close()


def test_what_was_appended_is_read_back(tmp_path: Path) -> None:
    written(tmp_path / "log")
    assert read_log(tmp_path / "log") == ({"name": "a"}, EVENTS)
    log = TrialLog(tmp_path / "log", {"name": "of a later attempt"})
    assert (log.header, log.events) == ({"name": "a"}, EVENTS)
    log.close()


def test_a_line_that_a_kill_cut_short_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "log"
    written(path)
    whole = path.read_bytes()
    last = whole.rstrip(b"\n").rfind(b"\n") + 1
    for size in range(last, len(whole)):
        path.write_bytes(whole[:size])
        assert read_log(path)[1] == EVENTS[:1]
        log = TrialLog(path, {})
        log.append(EVENTS[1])
        log.close()
        assert path.read_bytes() == whole


def test_a_header_that_a_kill_cut_short_is_written_again(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b'{"name": "a')
    log = TrialLog(path, {"name": "b"})
    log.close()
    assert read_log(path) == ({"name": "b"}, [])


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "log"
    written(path)
    lines = path.read_text("utf-8").splitlines()
    path.write_text("\n".join([lines[0], lines[1][:-2] + "]", lines[2]]) + "\n", "utf-8")
    with pytest.raises(StudyError, match="line 2 unusable"):
        TrialLog(path, {})
    with pytest.raises(StudyError, match="line 2"):
        read_log(path)


def test_a_second_writer_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a" / "log"
    first = TrialLog(path, {})
    with pytest.raises(StudyError, match="another process that runs it"):
        TrialLog(path, {})
    first.close()
    TrialLog(path, {}).close()


def test_a_missing_log_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="study list"):
        read_log(tmp_path / "none" / "log")


FULL = """
import resource, signal, sys
from pathlib import Path
from components.tuning.log import TrialLog
from components.tuning.trial import SegmentDone
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
log = TrialLog(Path(sys.argv[1]), {"name": "a"})
log.append(SegmentDone(at=0, trial=0, resource=2))
resource.setrlimit(resource.RLIMIT_FSIZE, (120, 120))
try:
    for _ in range(9):
        log.append(SegmentDone(at=0, trial=1, resource=2))
except Exception as error:
    print(type(error).__name__, error)
"""


def test_a_disk_without_space_leaves_whole_lines(tmp_path: Path) -> None:
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY
    assert signal.SIGXFSZ
    path = tmp_path / "log"
    said = subprocess.run(
        [sys.executable, "-c", FULL, str(path)], capture_output=True, text=True, check=True
    ).stdout
    assert said.startswith("StudyError trial log: got ")
    lines = path.read_text("utf-8").splitlines()
    assert [json.loads(line) for line in lines[1:]]
    assert path.read_bytes().endswith(b"\n")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"seed": 1}, "seed"),
        ({"scheduler": "fifo"}, "scheduler"),
        ({"base": {"training": {"epochs": 3}}}, "base"),
        ({"space": {"fields": {"lr": {"distribution": "uniform", "low": 0, "high": 1}}}}, "space"),
    ],
)
def test_another_study_under_the_same_name_is_refused(change: dict, named: str) -> None:
    wanted = study(base={"training": {"epochs": 2}})
    log = TrialLog(None, wanted.header())
    simulate(wanted, log=log)
    with pytest.raises(StudyError, match=f"study test, {named}.*another name"):
        simulate(study(**({"base": {"training": {"epochs": 2}}} | change)), log=log)
