"""What every text model of the catalog must do, whole and in each way of fine-tuning."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import pytest
import torch
from torch import nn

from components.models import MODELS
from components.models.encoder import EncoderConfig, Strategy
from components.models.network import NetworkConfig
from components.models.spec import ModelKind, Pair, Tokeniser
from components.text.deployable import DeployableText, tokeniser_of

TEXT_MODELS = [name for name in MODELS if MODELS.get(name).kind is ModelKind.TEXT_CLASSIFIER]
TEXTS: Sequence[Pair] = [
    ("The hotel was great.", ""),
    ("A man plays the piano.", "Somebody makes music."),
    ("good", ""),
    ("Ünïcödé, 漢字 and 🙂 are texts, too", ""),
]
CLASSES = 3


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A small encoder of random weights in Hugging Face's layout."""
    from tests.tiny_encoder import save

    return str(save(tmp_path_factory.mktemp("tiny")))


CASES = [(name, None) for name in TEXT_MODELS if name != "encoder"]
CASES += [("encoder", strategy) for strategy in get_args(Strategy)]


@pytest.fixture(params=CASES, ids=lambda case: "-".join(filter(None, case)))
def made(request: pytest.FixtureRequest, tiny: str) -> tuple[Tokeniser, nn.Module]:
    name, strategy = request.param
    options = {"train": strategy} if strategy else {}
    network = NetworkConfig(encoder=EncoderConfig(source=tiny, length=24, dropout=0, **options))
    tokeniser = network.tokeniser(MODELS.get(name), TEXTS)
    torch.manual_seed(0)
    return tokeniser, network.build(MODELS.get(name), tokeniser.vocabulary, CLASSES)


def ids(tokeniser: Tokeniser) -> torch.Tensor:
    return torch.from_numpy(tokeniser.encode(TEXTS))


def test_scores_have_one_column_per_class(made: tuple[Tokeniser, nn.Module]) -> None:
    tokeniser, model = made
    scores = model.eval()(ids(tokeniser))
    assert scores.shape == (len(TEXTS), CLASSES)
    assert scores.dtype == torch.float32
    assert scores.isfinite().all()


def test_padding_changes_nothing(made: tuple[Tokeniser, nn.Module]) -> None:
    tokeniser, model = made
    model.eval()
    together = model(ids(tokeniser))
    for row, expected in zip(ids(tokeniser), together, strict=True):
        used = row[row != tokeniser.padding]
        assert torch.allclose(model(used[None])[0], expected, atol=1e-5)


def test_what_learns_has_a_gradient_and_lowers_the_loss(made: tuple[Tokeniser, nn.Module]) -> None:
    tokeniser, model = made
    labels = torch.tensor([0, 1, 2, 0])
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(learning, lr=0.01)
    losses = []
    for _ in range(20):
        loss = nn.functional.cross_entropy(model(ids(tokeniser)), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]


@pytest.mark.slow
def test_the_deployable_form_exports_and_keeps_its_tokeniser(
    made: tuple[Tokeniser, nn.Module],
) -> None:
    tokeniser, model = made
    deployable = DeployableText(model, tokeniser.stored()).eval()
    batch = torch.export.Dim("batch", min=1, max=4096)
    shapes = ({0: batch},)
    exported = torch.export.export(deployable, (ids(tokeniser),), dynamic_shapes=shapes).module()
    carried = tokeniser_of(exported)
    for texts in (TEXTS[:1], [*TEXTS, *TEXTS]):
        given = torch.from_numpy(carried.encode(texts))
        assert (given == torch.from_numpy(tokeniser.encode(texts))).all()
        assert torch.allclose(exported(given), deployable(given), atol=1e-5)
