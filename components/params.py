"""params.yaml: read, overlaid with a profile and with `--set`, and checked key by key."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError

from components.catalog import unknown_key
from components.errors import ConfigError

M = TypeVar("M", bound=BaseModel)
Tree = dict[str, Any]
# A name that is not here would be read by nobody, so it is an error.
SECTIONS = (
    "data",
    "nightly",
    "sweep",
    "finetune",
    "training",
    "gan",
    "network",
    "suites",
    "promotion",
    "schedule",
    "reconcile",
    "drift",
    "notifications",
)
# A profile or recipe changes the parameters of one run; the other sections stay as they are.
PROFILE_SECTIONS = ("nightly", "sweep", "finetune", "training", "gan", "network")

# A search space means what it says: fields of the one below it do not creep in.
WHOLE = frozenset({"space"})


def load_params(path: Path, profile: str | None = None) -> Tree:
    """Read `path` and lay the named profile over it.

    Raises:
        UnknownKeyError: If there is no such profile, or a section that nobody reads.
        ConfigError: If the file is missing, is not YAML, or a section is no mapping.
    """
    tree, profiles, _ = _read(path)
    return tree if profile is None else merge(tree, _choose(profiles, profile))


def load_profile(path: Path, profile: str) -> Tree:
    """Only what the named profile changes.

    Raises:
        ConfigError: As for `load_params`.
    """
    return _choose(_read(path)[1], profile)


def profile_names(path: Path) -> list[str]:
    """The profiles that a file has.

    Raises:
        ConfigError: As for `load_params`.
    """
    return list(_read(path)[1])


def load_recipes(path: Path) -> dict[str, Tree]:
    """What each model that has a recipe changes; shaped like profiles.

    Raises:
        ConfigError: As for `load_params`.
    """
    return _read(path)[2]


def load_mapping(path: Path) -> Tree:
    """Read any YAML file that holds a mapping.

    Raises:
        ConfigError: If the file is missing, is not YAML, or holds something else.
    """
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(
            f"parameters {path}", got=reason, wanted="readable YAML", remedy="Correct the file."
        ) from None
    return _mapping(tree, f"parameters {path}")


def _read(path: Path) -> tuple[Tree, dict[str, Tree], dict[str, Tree]]:
    tree = load_mapping(path)
    overlays = [_overlays(tree, kind, path) for kind in ("profile", "recipe")]
    return _sections(tree, SECTIONS, str(path)), overlays[0], overlays[1]


def _overlays(tree: Tree, kind: str, path: Path) -> dict[str, Tree]:
    """Take `profiles` or `recipes` out of a tree: name to what it lays over the sections."""
    found = _mapping(tree.pop(f"{kind}s", None) or {}, f"{kind}s in {path}")
    return {
        str(name): _sections(
            _mapping(overlay or {}, f"{kind} {name} in {path}"),
            PROFILE_SECTIONS,
            f"{kind} {name} of {path}",
        )
        for name, overlay in found.items()
    }


def _sections(tree: Tree, known: Iterable[str], where: str) -> Tree:
    for name in tree:
        if name not in known:
            raise unknown_key(f"section in {where}", str(name), known)
    return {
        name: {} if section is None else _mapping(section, f"section {name} in {where}")
        for name, section in tree.items()
    }


def _mapping(value: object, subject: str) -> Tree:
    if isinstance(value, dict):
        return value
    raise ConfigError(
        subject,
        got=type(value).__name__,
        wanted="a mapping of names to values",
        remedy="Restore the file from version control.",
    )


def _choose(profiles: Mapping[str, Tree], name: str) -> Tree:
    if name not in profiles:
        raise unknown_key("profile", name, profiles)
    return profiles[name]


def merge(
    base: Mapping[str, Any], overlay: Mapping[str, Any], whole: Collection[str] = WHOLE
) -> Tree:
    """A new tree: `overlay` laid over `base`, mappings merged, everything else replaced.

    Args:
        base: Below.
        overlay: Above.
        whole: Keys whose mappings are replaced, too.
    """
    merged: Tree = dict(base)
    for key, value in overlay.items():
        below = merged.get(key)
        if key not in whole and isinstance(below, Mapping) and isinstance(value, Mapping):
            merged[key] = merge(below, value, whole)
        else:
            merged[key] = value
    return merged


def parse_assignments(assignments: Iterable[str]) -> Tree:
    """Turn `["training.epochs=3", "force=true"]` into a tree; values are YAML scalars or lists.

    Raises:
        ConfigError: If an assignment has no `=` or its value is not YAML.
    """
    tree: Tree = {}
    for assignment in assignments:
        path, equals, text = assignment.partition("=")
        keys = path.strip().split(".")
        if not equals or not all(keys):
            raise ConfigError(
                "--set",
                got=repr(assignment),
                wanted="name=value, with dots between nested names",
                remedy="For example: --set training.epochs=3",
            )
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError:
            raise ConfigError(
                f"--set {path}", got=repr(text), wanted="a YAML value", remedy="Quote the value."
            ) from None
        nested: Any = value
        for key in reversed(keys):
            nested = {key: nested}
        tree = merge(tree, nested, whole=())
    return tree


def check(model: type[M], values: Mapping[str, Any], where: str) -> M:
    """Validate `values` as `model`.

    Args:
        model: The pydantic class that owns the section.
        values: The section as read.
        where: How a person finds it ("params.yaml: training").

    Raises:
        UnknownKeyError: For a key the model does not have; names the nearest known key.
        ConfigError: For a value of the wrong type or out of range.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        location = [str(part) for part in first["loc"]]
        if first["type"] == "extra_forbidden":
            owner = _owner(model, location[:-1])
            place = ".".join([where, *location[:-1]])
            raise unknown_key(f"key in {place}", location[-1], owner.model_fields) from None
        raise ConfigError(
            ".".join([where, *location]),
            got=repr(first["input"]),
            wanted=first["msg"].removeprefix("Input should be ").removeprefix("Value error, "),
            remedy="Correct the value.",
        ) from None


def _owner(model: type[BaseModel], path: list[str]) -> type[BaseModel]:
    """The section class that `path` leads to, through mappings with free names as well."""
    for name in path:
        if name not in model.model_fields:  # a free name of a mapping; its class is found already
            continue
        annotation = model.model_fields[name].annotation
        candidates = [annotation, *get_args(annotation)]
        below = [c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)]
        if not below:
            break
        model = below[0]
    return model
