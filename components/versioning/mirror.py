"""Files that stand in the workspace for the clone's: pipelines and parameters."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml

from components.datasets.sections import OWN_FILE
from components.settings import PROJECT_ROOT

MAIN, OPTIONAL, OWN = "dvc.yaml", "data/optional/dvc.yaml", "data/own/dvc.yaml"


def chosen(sections: dict[str, Any], names: Any) -> dict[str, Any]:
    """The sections of some datasets."""
    return {name: sections[name] for name in names}


def as_yaml(content: dict[str, Any]) -> bytes:
    """As a file, in the order in which the keys are."""
    return yaml.safe_dump(content, sort_keys=False).encode()


def own_pipeline(names: list[str]) -> bytes:
    """The optional datasets' pipeline with other names, another module and the sources' listing."""
    text = (PROJECT_ROOT / OPTIONAL).read_text("utf-8")
    text = text.replace("components/datasets/${item.dataset}.py", "components/datasets/own.py")
    pipeline = yaml.safe_load(text)
    for kind, stage in pipeline["stages"].items():
        stage["matrix"]["dataset"] = names
        file = OWN_FILE
        stage["params"] = [{file: [f"${{item.dataset}}.{kind}"]}]
        if kind == "fetch":
            stage["deps"].append("data/manifests/${item.dataset}.txt")
        else:
            stage["deps"] += ["components/datasets/rows.py", "components/datasets/text_pool.py"]
    return as_yaml(pipeline)


def write(target: Path, content: bytes) -> None:
    """Write a file in one step, and not at all where it is the same: DVC looks at the time."""
    if target.exists() and target.read_bytes() == content:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(target.name + ".tmp")
    temporary.write_bytes(content)
    os.replace(temporary, target)
