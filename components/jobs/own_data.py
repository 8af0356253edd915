"""Make a person's own images or texts a dataset, and take it out again."""

from __future__ import annotations

from pathlib import Path

from components.datasets.own import S3, own_dataset
from components.datasets.sections import OWN_FILE, check_new_name, read_section
from components.errors import ConfigError, DataUnavailableError
from components.versioning.command import OnLine
from components.versioning.dvc import DvcWorkspace
from components.versioning.remote import add_sections, write_sections
from components.versioning.versions import DatasetVersion


def add_dataset(
    workspace: DvcWorkspace,
    name: str,
    source: str,
    prepare: dict[str, object],
    inbox: str | None,
    on_line: OnLine,
) -> DatasetVersion:
    """Prepare the data of `source` and remember them as the dataset `name`.

    Args:
        workspace: Where the dataset will live.
        name: Lower-case letters, digits and underscores; not one of the catalog's.
        source: A folder, zip, tar or s3:// prefix of images in class folders, or a file of texts.
        prepare: What differs from the defaults of PoolConfig or TextPoolConfig.
        inbox: Folder or s3:// prefix whose files are added later; a folder in the state
            directory if None.
        on_line: Receives DVC's output.

    Raises:
        ConfigError: If the name is taken or unusable, or a number is out of range.
        DataError: If the data cannot be used; the dataset is then not added.
    """
    datasets = workspace.datasets()
    check_new_name(name, datasets)
    if name in datasets.own:
        raise ConfigError(
            f"dataset {name}",
            got="the name of a dataset that was added before",
            wanted="a new name",
            remedy=f"Put new files into its inbox, or first: nightforge data remove {name}",
        )
    home = workspace.settings.ensure_home()
    place = inbox or str(home / "inbox" / name)
    section = {
        "fetch": {"source": _absolute(source), "inbox": _absolute(place)},
        "prepare": prepare,
    }
    config = read_section(own_dataset(name, section), section, f"dataset {name}")
    _refuse_missing(_absolute(source))
    with workspace.lock():
        add_sections(home / OWN_FILE, {name: config.section()})
    try:
        version = workspace.reproduce(name, on_line)
    except BaseException:
        remove_dataset(workspace, name)
        raise
    if not place.startswith(S3):
        Path(place).mkdir(parents=True, exist_ok=True)
    return version


def remove_dataset(workspace: DvcWorkspace, name: str) -> None:
    """Forget a person's own dataset; versions in DVC's cache, and the inbox, stay.

    Raises:
        UnknownKeyError: If there is no such dataset.
        ConfigError: If it is one of the catalog's.
    """
    datasets = workspace.datasets()
    datasets.spec(name)
    if name not in datasets.own:
        raise ConfigError(
            f"dataset {name}",
            got="a dataset of the catalog",
            wanted="one that was added by `nightforge data add`",
            remedy="Leave it: what is not used costs nothing.",
        )
    with workspace.lock():
        left = {key: value for key, value in workspace.datasets().own.items() if key != name}
        write_sections(workspace.settings.home / OWN_FILE, left)


def _absolute(place: str) -> str:
    return place.rstrip("/") if place.startswith(S3) else str(Path(place).expanduser().resolve())


def _refuse_missing(source: str) -> None:
    if not source.startswith(S3) and not Path(source).exists():
        raise DataUnavailableError(
            f"source {source}",
            got="nothing there",
            wanted="a folder, zip, tar or s3:// prefix of images, or a file of texts",
            remedy="Check the path.",
        )
