"""Identity of a training run: what went in, hashed, so that nothing is trained twice."""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from pydantic import BaseModel

ROOT_PACKAGE = "components"
SOURCES = Path(__file__).parent.parent
# Wording of messages and the lookup machinery do not change what is trained.
NEUTRAL = frozenset({f"{ROOT_PACKAGE}.errors", f"{ROOT_PACKAGE}.catalog"})


def fingerprint(
    *, dataset_version: str, config: BaseModel, modules: Iterable[str], **extra: str
) -> str:
    """Hash everything that decides the outcome of a training run.

    Args:
        dataset_version: The DVC md5 of the prepared dataset.
        config: The full configuration; its seed is part of it.
        modules: Dotted names of the modules the run enters; what they import from this
            project is followed.
        extra: Further names and values, such as the model's name.

    Returns:
        32 hexadecimal digits.
    """
    content = {
        "dataset_version": dataset_version,
        "config": config.model_dump(mode="json"),
        "source": source_hash(modules),
        **extra,
    }
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def source_hash(modules: Iterable[str]) -> str:
    """Hash the code of `modules` and of every project module they import.

    Comments, docstrings and layout do not count: a reworded docstring retrains nothing.
    """
    digest = hashlib.sha256()
    for name, path in sorted(_closure(modules).items()):
        digest.update(name.encode() + b"\0" + _code(path).encode() + b"\0")
    return digest.hexdigest()


def _closure(modules: Iterable[str]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name in found or name in NEUTRAL:
            continue
        path = _path(name)
        if path is None:
            continue
        found[name] = path
        waiting += _imports(ast.parse(path.read_text(encoding="utf-8")))
    return found


def _path(module: str) -> Path | None:
    """The file of a module, which is not imported; None for a name within a module."""
    place = SOURCES.joinpath(*module.split("."))
    files = (place.with_suffix(".py"), place / "__init__.py")
    return next((file for file in files if file.is_file()), None)


def _imports(tree: ast.AST) -> list[str]:
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.append(node.module)
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return [name for name in names if name.partition(".")[0] == ROOT_PACKAGE]


def _code(path: Path) -> str:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)
