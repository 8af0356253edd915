"""Evaluating text models: a pipeline() call for each example against sorted batches."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from components.benchmarks.base import BenchmarkResult, compare
from components.datasets import DATASETS
from components.datasets.base import PrepareConfig, ReadRequest, Split, Text
from components.errors import ConfigError
from components.models.encoder import MINILM
from components.text.sources import Source, open_source, quieten
from components.text.tasks import EVALUATION_TASKS
from components.text.tasks.base import ModelFiles

ROUNDS = 5
EXAMPLES = 300
LABELS = {
    "sentiment-analysis": ("reviews", ("negative", "positive")),
    "ner": ("entities", ("O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC")),
}
Said = list[object]


def text_cpu(say: Callable[[str], None]) -> BenchmarkResult:
    """Seconds for 300 reviews and 300 texts with entities through all-MiniLM-L6-v2, in turn, fp32.

    The heads are fresh, for speed does not depend on weights; both sides must say the same.

    Raises:
        ConfigError: If the encoder is not installed, or the sides say different things.
    """
    with tempfile.TemporaryDirectory() as folder:
        sides = [_sides(task, Path(folder) / task) for task in LABELS]
        theirs, ours = [], []
        for counted in range(ROUNDS + 1):
            seconds = [_timed([side[which] for side in sides]) for which in (0, 1)]
            _refuse_difference(seconds[0][1], seconds[1][1])
            pair = seconds[0][0], seconds[1][0]
            say(f"round {counted}: pipeline() {pair[0]:.2f} s, nightforge {pair[1]:.2f} s")
            if counted:
                theirs.append(pair[0])
                ours.append(pair[1])
    return compare(
        "text-cpu",
        f"{EXAMPLES} reviews and {EXAMPLES} texts with entities, all-MiniLM-L6-v2, fp32",
        ("transformers, pipeline() for each example", theirs),
        ("nightforge, evaluation tasks of a suite", ours),
    )


def _sides(task: str, folder: Path) -> tuple[Callable[[], Said], Callable[[], Said]]:
    """The same model, asked one by one and all at once."""
    from transformers import pipeline

    dataset, labels = LABELS[task]
    _save(task, labels, folder)
    request = ReadRequest(folder, PrepareConfig(seed=0), folder)
    raw: Any = DATASETS.get(dataset).read(request)
    texts: Sequence[Text] = raw.splits[Split.TEST][:EXAMPLES]
    options: dict[str, Any] = {"aggregation_strategy": "first"} if task == "ner" else {}
    make: Any = pipeline
    pipe = make(task, model=str(folder), device="cpu", **options)
    predictor = EVALUATION_TASKS.get(task).open(ModelFiles(Source(task, folder)), raw.class_names)

    def one_by_one() -> Said:
        return [_plain(pipe(text.text)) for text in texts]

    def together() -> Said:
        said = predictor.predict(texts)
        return [list(one.spans) if task == "ner" else one.text for one in said]

    return one_by_one, together


def _plain(found: list[dict[str, Any]]) -> object:
    """A label, or spans."""
    if found and "label" in found[0]:
        return found[0]["label"]
    return [(one["start"], one["end"], one["entity_group"]) for one in found]


def _save(task: str, labels: Sequence[str], folder: Path) -> None:
    import torch
    from transformers import (
        AutoModelForSequenceClassification,
        AutoModelForTokenClassification,
        AutoTokenizer,
    )

    heads = {
        "sentiment-analysis": AutoModelForSequenceClassification,
        "ner": AutoModelForTokenClassification,
    }
    source = open_source(MINILM).folder
    torch.manual_seed(0)
    names = dict(enumerate(labels))
    head: Any = heads[task]
    model = head.from_pretrained(
        source, id2label=names, label2id={name: number for number, name in names.items()}
    )
    quieten()
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(source).save_pretrained(folder)


def _timed(work: Sequence[Callable[[], Said]]) -> tuple[float, list[Said]]:
    start = time.perf_counter()
    said = [one() for one in work]
    return time.perf_counter() - start, said


def _refuse_difference(theirs: list[Said], ours: list[Said]) -> None:
    for task, one, other in zip(LABELS, theirs, ours, strict=True):
        differ = sum(a != b for a, b in zip(one, other, strict=True))
        if differ:
            raise ConfigError(
                f"bench text-cpu, {task}",
                got=f"{differ} of {len(one)} examples with another answer in a batch",
                wanted="the same answers",
                remedy="Report it with the versions of torch and transformers.",
            )
