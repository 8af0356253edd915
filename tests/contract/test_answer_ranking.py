"""The real all-MiniLM-L6-v2 finds answers that share no words with their questions."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from components.datasets.base import Text
from components.evaluation.resampling import measure
from components.jobs.suite_data import open_data
from components.models.encoder import MINILM
from components.text.sources import MINILM_PACKAGE, open_source
from components.text.tasks import EVALUATION_TASKS
from components.text.tasks.base import ModelFiles

TASK, ANSWERS = "feature-extraction", "data/samples/answers.jsonl"


@pytest.fixture(scope="module")
def pairs() -> Sequence[Text]:
    return open_data(TASK, ANSWERS, {}, (), EVALUATION_TASKS.get(TASK), {}).examples


def test_word_overlap_finds_less_than_half(pairs: Sequence[Text]) -> None:
    assert len(pairs) >= 200
    words = TfidfVectorizer().fit([text.text for text in pairs] + [text.second for text in pairs])
    questions, answers = (
        words.transform([getattr(text, part) for text in pairs]) for part in ("text", "second")
    )
    likeness = (questions @ answers.T).toarray()
    right = np.diagonal(likeness)[:, None]
    assert (((likeness > right).sum(1) == 0) & (right[:, 0] > 0)).mean() < 0.5


@pytest.mark.slow
def test_the_encoder_finds_four_of_five(pairs: Sequence[Text]) -> None:
    if importlib.util.find_spec(MINILM_PACKAGE) is None:
        if os.environ.get("CI"):
            pytest.fail(f"{MINILM_PACKAGE} is missing: .ci/run should have installed it")
        pytest.skip("all-MiniLM-L6-v2 is not here: `make setup-text` installs it")
    task = EVALUATION_TASKS.get(TASK)
    predictor = task.open(ModelFiles(open_source(MINILM)), ())
    scores = task.score(pairs, predictor.predict(pairs), ())
    found = {metric.name: measure(metric).value for metric in scores.metrics}
    assert found["recall_at_1"] >= 0.8
    assert found["mrr"] >= found["recall_at_1"]
