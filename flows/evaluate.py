"""Evaluate text models on a suite of tasks; each has a floor to clear."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Annotated

from prefect import flow
from pydantic import Field

from components.errors import EvaluationError
from components.jobs.recipe import Recipe
from components.jobs.suite_data import is_dataset
from components.jobs.suite_entries import SuiteEntry, import_for
from components.jobs.suite_entries import suite as suite_entries
from components.tracking.base import TrackedRun
from components.versioning.versions import DatasetVersion
from flows import tasks
from flows.night import complete
from flows.reports import Reporting, reporting
from flows.summary import describe_suite

SuiteName = Annotated[str, Field(min_length=1)]


@flow(name="evaluate", flow_run_name="evaluate suite {suite}")
def evaluate(suite: SuiteName = "offline") -> None:
    """Evaluate text models on a suite of params.yaml; it fails if one is under its floor.

    What the suite says is to be trained is trained first, once: an unchanged suite only evaluates.

    Args:
        suite: Its name in params.yaml, section suites; offline needs no network.
    """
    with reporting("evaluate", tasks.settings()) as run:
        entries = suite_entries(tasks.settings(), suite)
        names = {entry.data for entry in entries if is_dataset(entry.data)}
        names |= {entry.trained[0] for entry in entries if entry.trained}
        with ThreadPoolExecutor(1) as pool:  # DVC and Hugging Face's libraries both take seconds
            ready = pool.submit(import_for, entries)
            refreshed = run.step("data", tasks.refresh_several, sorted(names))
        ready.result()
        run.report.warnings += refreshed.warnings
        data = {name: outcome.dataset for name, outcome in refreshed.found.items()}
        trained = _train(run, entries, data)
        outcome = run.step("evaluate", tasks.evaluate_suite, suite, entries, data, trained)
        describe_suite(run.report, outcome, tasks.context().tracker)
        if outcome.failures:
            raise EvaluationError(
                f"suite {suite}",
                got="; ".join(outcome.failures),
                wanted="every floor cleared, and every required entry evaluated",
                remedy="The report has a table for each task; the MLflow run the predictions.",
            )


def _train(
    run: Reporting, entries: tuple[SuiteEntry, ...], data: dict[str, DatasetVersion]
) -> dict[str, TrackedRun]:
    """Each model that the entries say is to be trained, once, with its recipe in params.yaml."""
    found: dict[str, TrackedRun] = {}
    for entry in entries:
        if entry.trained is None or entry.model in found:
            continue
        dataset, model = entry.trained
        [usual] = complete([{"model": model, "dataset": dataset}], tasks.settings())
        recipe = Recipe(model=model, training=usual["training"], network=usual["network"])
        step = f"train {model} on {dataset}"
        found[entry.model] = run.step(step, tasks.train, data[dataset], recipe, False).run
    return found
