"""Fine-tune a text encoder in several ways, several times each; the best goes to the gate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from prefect import flow
from pydantic import Field

from components.datasets.base import TextTask
from components.datasets.prepared import Card, TextCard, read_card
from components.errors import ConfigError
from components.jobs.recipe import Recipe
from components.jobs.train import TrainOutcome
from components.models.network import NetworkConfig
from components.training.config import TrainConfig
from flows import tasks
from flows.forms import FINE_TUNED, Seed, TextDatasetName
from flows.night import complete
from flows.promote import promote_if_better
from flows.reports import reporting
from flows.summary import SCRATCH, describe_data, describe_ways

BAG_OF_WORDS = "bag_of_words"
Way = Literal["all", "head", "gradual", "lora", "prefix", "scratch", "bag_of_words"]


@flow(name="finetune", flow_run_name="finetune on {dataset}")
def finetune(
    dataset: TextDatasetName = "reviews",
    ways: Annotated[tuple[Way, ...], Field(min_length=1)] = ("all", "head", "bag_of_words"),
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)] = (0, 1, 2),
    gate: bool = True,
    training: TrainConfig = TrainConfig(),  # noqa: B008 - frozen
    network: NetworkConfig = NetworkConfig(),  # noqa: B008 - frozen
    force: bool = False,
) -> None:
    """Fine-tune a pre-trained text encoder, compare the ways to do so, and promote the best.

    They are compared on the validation split, whose templates and words training never saw; small
    data make fine-tuning unstable, so each way has several seeds.

    Args:
        dataset: Which labelled texts.
        ways: What learns: all layers, the head alone, gradually from the head downwards, LoRA or
            prefix additions; scratch is the same network without its weights, bag_of_words a
            linear classifier of the words, the baseline.
        seeds: Each way is trained once with each.
        gate: Promote the best one if it is better than the champion.
        training: How the encoder is trained; the seed is one of the above.
        network: Section encoder: which one, and how long a text may be.
        force: Train even if nothing changed.
    """
    with reporting("finetune", tasks.settings()) as run:
        run.step("self_check", tasks.self_check)
        data = run.step("data", tasks.refresh_data, dataset)
        describe_data(run.report, data)
        card = read_card(data.dataset.directory)
        found: dict[str, list[TrainOutcome]] = {}
        for way in dict.fromkeys(ways):
            for seed in dict.fromkeys(seeds):
                recipe = recipe_of(way, seed, card, training, network)
                trained = run.step(f"{way}, seed {seed}", tasks.train, data.dataset, recipe, force)
                found.setdefault(way, []).append(trained)
        describe_ways(run.report, {way: [one.run for one in runs] for way, runs in found.items()})
        if gate:
            promote_if_better(run, best_of(found), data.dataset)


def recipe_of(
    way: Way, seed: int, card: Card, training: TrainConfig, network: NetworkConfig
) -> Recipe:
    """What one way trains with one seed; the baseline has its own numbers in params.yaml.

    Raises:
        ConfigError: If there is no such way for these data.
    """
    model = _model(card, way)
    if way == BAG_OF_WORDS:
        [usual] = complete([{"model": way, "dataset": card.name}], tasks.settings())
        own = TrainConfig.model_validate(
            usual["training"] | {"seed": seed, "examples": training.examples}
        )
        return Recipe(model=BAG_OF_WORDS, training=own)
    change = {"weights": "none", "train": "all"} if way == SCRATCH else {"train": way}
    encoder = network.encoder.model_copy(update=change)
    return Recipe(
        model=model,
        training=training.model_copy(update={"seed": seed}),
        network=network.model_copy(update={"encoder": encoder}),
    )


def _model(card: Card, way: Way) -> str:
    task = card.task if isinstance(card, TextCard) else None
    model = FINE_TUNED.get(task) if task else None
    if model is None or (way == BAG_OF_WORDS and task is not TextTask.CLASSIFICATION):
        raise ConfigError(
            f"finetune on {card.name}",
            got=f"{way} on data for {task or 'other models'}",
            wanted="texts with classes, entities or answers; bag_of_words needs classes",
            remedy="Choose another dataset, or leave bag_of_words out.",
        )
    return model


def best_of(found: Mapping[str, Sequence[TrainOutcome]]) -> TrainOutcome:
    """The run with the best validation accuracy; of equals the first."""
    runs = [outcome for outcomes in found.values() for outcome in outcomes]
    return max(runs, key=lambda outcome: outcome.run.metrics["best_validation_accuracy"])
