from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from components.errors import CheckpointError
from components.training import checkpoint
from components.training.checkpoint import load_checkpoint, save_checkpoint

CPU = torch.device("cpu")


class Evil:
    def __reduce__(self) -> tuple[object, ...]:
        return os.system, ("true",)


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "new" / "last.pt"
    save_checkpoint(path, {"weight": torch.arange(3.0), "epoch": 2, "names": ["a"]})
    state = load_checkpoint(path, CPU)
    assert state["weight"].tolist() == [0, 1, 2]
    assert (state["epoch"], state["names"]) == (2, ["a"])
    assert [file.name for file in path.parent.iterdir()] == ["last.pt"]


def test_no_file_is_no_state(tmp_path: Path) -> None:
    assert load_checkpoint(tmp_path / "last.pt", CPU) is None


@pytest.mark.parametrize("where", ["fsync", "replace"])
def test_a_kill_while_saving_leaves_the_earlier_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    path = tmp_path / "last.pt"
    save_checkpoint(path, {"epoch": 1})

    def killed(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, where, killed)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(path, {"epoch": 2})
    monkeypatch.undo()
    assert load_checkpoint(path, CPU) == {"epoch": 1}
    save_checkpoint(path, {"epoch": 3})
    assert load_checkpoint(path, CPU) == {"epoch": 3}


def test_bytes_reach_the_disk_before_the_name_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    for name in ("fsync", "replace"):
        real = getattr(os, name)

        def noted(*args, _name: str = name, _real=real):
            calls.append(_name)
            return _real(*args)

        monkeypatch.setattr(checkpoint.os, name, noted)
    save_checkpoint(tmp_path / "last.pt", {"epoch": 1})
    assert calls == ["fsync", "replace", "fsync"]


def test_a_full_disk_is_one_clear_error_and_the_earlier_checkpoint_stays(tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    save_checkpoint(path, {"epoch": 1})
    (tmp_path / "last.pt.tmp").symlink_to("/dev/full")
    with pytest.raises(CheckpointError, match="space"):
        save_checkpoint(path, {"weight": torch.zeros(100_000)})
    assert load_checkpoint(path, CPU) == {"epoch": 1}


def test_a_folder_that_cannot_be_made_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    with pytest.raises(CheckpointError, match="writable folder"):
        save_checkpoint(tmp_path / "file" / "last.pt", {})


@pytest.mark.parametrize("kept", [0, 1, 100, 600])
def test_a_truncated_checkpoint_is_refused(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "last.pt"
    save_checkpoint(path, {"weight": torch.zeros(50)})
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(CheckpointError, match=r"last\.pt"):
        load_checkpoint(path, CPU)


def test_a_checkpoint_that_would_run_code_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    torch.save({"evil": Evil()}, path)
    with pytest.raises(CheckpointError):
        load_checkpoint(path, CPU)
