"""What every text model must do whose answer is several choices, in each way of fine-tuning."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from torch import nn
from transformers import (
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForQuestionAnswering,
    AutoModelForSeq2SeqLM,
    AutoModelForTokenClassification,
)

from components.datasets.base import TextTask
from components.datasets.device_loader import TokenSplit, tokens_to_device
from components.models import MODELS
from components.models.encoder import EncoderConfig, Strategy
from components.models.network import NetworkConfig
from components.models.spec import SEQUENCE_KINDS, ModelKind, ModelSpec
from components.models.transformer import TransformerConfig
from components.text.deployable import DeployableText, tokeniser_of
from components.text.package import packager
from components.text.sources import Source, loaded
from components.text.tokeniser import FastTokeniser
from components.training.objective import SEQUENCE, sequence_hits
from tests.texts import CLASS_NAMES, EXAMPLES
from tests.tiny_encoder import save

NAMES = [name for name in MODELS if MODELS.get(name).kind in SEQUENCE_KINDS]
FINE_TUNED = [name for name in NAMES if MODELS.get(name).section == "encoder"]
CASES = [(name, None) for name in NAMES if name not in FINE_TUNED]
CASES += [(name, strategy) for name in FINE_TUNED for strategy in get_args(Strategy)]
CPU = torch.device("cpu")
HEADS: dict[ModelKind, Any] = {
    ModelKind.TOKEN_CLASSIFIER: AutoModelForTokenClassification,
    ModelKind.SPAN_EXTRACTOR: AutoModelForQuestionAnswering,
    ModelKind.MASKED_LM: AutoModelForMaskedLM,
    ModelKind.CAUSAL_LM: AutoModelForCausalLM,
    ModelKind.SEQ2SEQ: AutoModelForSeq2SeqLM,
}


class Made:
    """A small fresh model with its examples."""

    def __init__(self, name: str, strategy: str | None, source: str) -> None:
        small = TransformerConfig(width=32, heads=2, length=24, vocabulary=300, dropout=0)
        options: dict[str, Any] = {"train": strategy} if strategy else {}
        encoder = EncoderConfig(source=source, length=24, dropout=0, **options)
        network = NetworkConfig(encoder=encoder, causal_lm=small, seq2seq=small)
        self.spec: ModelSpec = MODELS.get(name)
        self.task = TextTask(str(self.spec.kind.task))
        self.texts, self.class_names = EXAMPLES[self.task], CLASS_NAMES.get(self.task, ())
        pairs = [(text.text, text.second) for text in self.texts]
        tokeniser = network.tokeniser(self.spec, pairs)
        assert isinstance(tokeniser, FastTokeniser)
        self.tokeniser = tokeniser
        torch.manual_seed(0)
        self.net: nn.Module = network.build(self.spec, tokeniser.vocabulary, len(self.class_names))
        assert self.spec.targets
        self.ids, self.targets = self.spec.targets(tokeniser, self.texts, self.class_names)

    def split(self) -> TokenSplit:
        aligned = self.spec.kind not in (ModelKind.SPAN_EXTRACTOR, ModelKind.MASKED_LM)
        padding = self.tokeniser.padding
        return tokens_to_device(self.ids, self.targets, padding, CPU, aligned=aligned)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(save(tmp_path_factory.mktemp("tiny")))


@pytest.fixture(params=CASES, ids=lambda case: "-".join(filter(None, case)))
def made(request: pytest.FixtureRequest, tiny: str) -> Made:
    return Made(*request.param, tiny)


def test_every_position_has_scores(made: Made) -> None:
    scores = made.net.eval()(torch.from_numpy(made.ids))
    assert scores.shape[:2] == made.targets.shape
    assert scores.isfinite().all()
    assert made.targets.max() < scores.shape[2]
    assert (made.targets >= 0).any(1).all()


def test_padding_changes_nothing(made: Made) -> None:
    made.net.eval()
    whole = made.net(torch.from_numpy(made.ids))
    rows = made.split()
    for row in range(len(rows)):
        alone = TokenSplit(rows.ids[[row]], rows.labels[[row]], rows.lengths[[row]], rows.aligned)
        [(ids, targets)] = list(alone.in_order(1))
        scores = made.net(ids)
        expected = sequence_hits(whole[[row]], rows.labels[[row]])
        assert torch.equal(sequence_hits(scores, targets), expected)
        places, choices = scores.shape[1], min(scores.shape[2], whole.shape[2])
        together = whole[row, :places, :choices]
        assert torch.allclose(scores[0, :, :choices], together, atol=1e-4)


def test_what_learns_has_a_gradient_and_lowers_the_loss(made: Made) -> None:
    learning = [parameter for parameter in made.net.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(learning, lr=0.01)
    ids, targets = torch.from_numpy(made.ids), torch.from_numpy(made.targets)
    losses = []
    for _ in range(20):
        loss = SEQUENCE.loss(made.net(ids), targets, 0.0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]


@pytest.mark.slow
def test_the_deployable_form_exports_and_keeps_its_tokeniser(made: Made) -> None:
    deployable = DeployableText(made.net, made.tokeniser.stored()).eval()
    ids = torch.from_numpy(made.ids)
    shapes = ({0: torch.export.Dim("batch", min=1, max=4096)},)
    exported = torch.export.export(deployable, (ids,), dynamic_shapes=shapes).module()
    assert made.spec.targets
    again, _ = made.spec.targets(tokeniser_of(exported), made.texts, made.class_names)
    assert np.array_equal(again, made.ids)
    for given in (ids[:1], torch.cat([ids, ids])):
        assert torch.allclose(exported(given), deployable(given), atol=1e-4)


def test_transformers_loads_what_was_packed_and_says_the_same(made: Made, tmp_path: Path) -> None:
    made.net.eval()
    pack = packager(made.spec.kind, made.net, made.tokeniser, made.class_names)
    if getattr(made.net, "train_what", "") == "prefix":
        assert pack is None
        return
    assert pack
    pack(tmp_path)
    model: Any = loaded(Source("packed", tmp_path), HEADS[made.spec.kind])
    ids = torch.from_numpy(made.ids[:1])
    expected = made.net(ids)
    if made.spec.kind is ModelKind.SEQ2SEQ:
        length = ids.shape[1] // 2
        target = torch.from_numpy(made.targets[:1])
        mask = (ids[:, :length] != made.tokeniser.padding).long()
        found = model(input_ids=ids[:, :length], attention_mask=mask, labels=target).logits
        asked = target[0] >= 0
        assert torch.allclose(found[0, asked], expected[0, asked], atol=1e-4)
        return
    given = made.net.inputs(ids) if hasattr(made.net, "inputs") else {"input_ids": ids}
    found = model(**given)
    if made.spec.kind is ModelKind.SPAN_EXTRACTOR:
        possible = expected[0, 0] > -1000
        assert torch.allclose(found.start_logits[0, possible], expected[0, 0, possible], atol=1e-4)
        return
    if made.spec.kind is ModelKind.MASKED_LM:
        places = torch.nonzero(ids[0] == made.net.mask).flatten()
        assert torch.allclose(found.logits[0, places], expected[0, : len(places)], atol=1e-4)
        return
    used = ids[0] != made.tokeniser.padding
    assert torch.allclose(found.logits[0, used], expected[0, used], atol=1e-4)
