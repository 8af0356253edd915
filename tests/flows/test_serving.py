"""Using a registered model: `nightforge predict`, and `nightforge serve` as a process."""

from __future__ import annotations

import itertools
import json
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread

import httpx
import numpy as np
import pytest
import torch
from PIL import Image

from components.datasets.base import Split
from components.datasets.prepared import PreparedDataset, load_prepared
from components.jobs.context import JobContext, shape_tag
from components.jobs.evaluate import CANDIDATE_REPORT
from components.jobs.references import resolve
from components.models.deployable import Deployable
from components.models.lenet import lenet
from components.settings import Settings
from components.tracking.base import DatasetInput, ModelVersion, RunSpec
from tests.installation import HOST, QUICK, Installation
from tests.prefect_api import run_flow

pytestmark = [pytest.mark.servers, pytest.mark.filterwarnings("ignore::DeprecationWarning")]
MODEL = "fashion_mnist_sample-classifier"
FOLLOWED = "followed-classifier"
VERSION = "X-Nightforge-Version"


@dataclass
class Service:
    """A `nightforge serve` that runs."""

    process: subprocess.Popen[str]
    client: httpx.Client
    printed: list[str] = field(default_factory=list)

    def until(self, words: str) -> str:
        """Wait for a line with these words; pytest's time limit ends a wait in vain."""
        assert self.process.stdout
        for line in self.process.stdout:
            self.printed.append(line)
            if words in line:
                return line
        raise AssertionError("".join(self.printed))

    def scores(self, pixels: np.ndarray) -> tuple[int, np.ndarray]:
        """The version that answered, and its scores."""
        body = {"inputs": (pixels.astype(np.float32) / 255).tolist()}
        answer = self.client.post("/invocations", json=body)
        assert answer.status_code == 200, answer.text
        scores = np.asarray(answer.json()["predictions"], np.float32)
        return int(answer.headers[VERSION]), scores


@contextmanager
def serving(servers: Installation, model: str) -> Iterator[Service]:
    """`nightforge serve` from its first answer to its end by SIGTERM."""
    arguments = ["serve", model, "--host", HOST, "--port", "0", "--poll", "0.1"]
    process = servers.start(*arguments)
    try:
        with httpx.Client(trust_env=False, timeout=60) as client:
            service = Service(process, client)
            client.base_url = service.until(" at http://").split()[-1]
            yield service
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=60)
        assert (process.returncode, said.splitlines()[-1]) == (0, "stopped"), said
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def context(servers: Installation) -> JobContext:
    """After a night that made a champion."""
    run_flow(servers, "nightly", *QUICK[1::2])
    return JobContext.connect(Settings(home=servers.home, mlflow_uri=servers.addresses()["mlflow"]))


@pytest.fixture(scope="module")
def champion(context: JobContext) -> ModelVersion:
    return resolve(context.registry, MODEL)


@pytest.fixture(scope="module")
def evaluated(context: JobContext, champion: ModelVersion) -> dict[str, list[object]]:
    """The report by which the champion was promoted."""
    text = context.tracker.read_text(champion.run_id, CANDIDATE_REPORT)
    report: dict[str, list[object]] = json.loads(text)
    return report


@pytest.fixture(scope="module")
def prepared(context: JobContext) -> PreparedDataset:
    folder = context.settings.workspace / "data" / "prepared" / "fashion_mnist_sample"
    return load_prepared(folder)


@pytest.fixture(scope="module")
def pixels(prepared: PreparedDataset) -> np.ndarray:
    """The test images, (1000, 1, 28, 28) uint8."""
    return np.array(prepared.splits[Split.TEST].images)


def test_predict_says_of_files_what_the_evaluation_said_of_the_images(
    servers: Installation,
    evaluated: dict[str, list[object]],
    pixels: np.ndarray,
    tmp_path: Path,
) -> None:
    for number in range(30):
        Image.fromarray(pixels[number, 0]).save(tmp_path / f"{number:02}.png")
    (tmp_path / "notes.txt").write_text("no picture")
    told = json.loads(servers.ok("predict", MODEL, str(tmp_path), "--json", "-"))
    names = [evaluated["class_names"][int(index)] for index in evaluated["predictions"][:30]]
    assert [one["class"] for one in told["predictions"]] == names
    assert told["skipped"] == 1


def test_the_served_champion_predicts_what_was_evaluated(
    servers: Installation,
    champion: ModelVersion,
    evaluated: dict[str, list[object]],
    pixels: np.ndarray,
    tmp_path: Path,
) -> None:
    with serving(servers, MODEL) as service:
        about = service.client.get("/model").json()
        assert (about["name"], about["version"]) == (MODEL, champion.version)
        assert about["classes"] == evaluated["class_names"]
        assert champion.run_id in about["run"]
        version, scores = service.scores(pixels)
        assert version == champion.version
        assert scores.argmax(1).tolist() == evaluated["predictions"]
        Image.fromarray(pixels[0, 0]).save(tmp_path / "one.png")
        answer = service.client.post("/classify", content=(tmp_path / "one.png").read_bytes())
        first = evaluated["class_names"][int(evaluated["predictions"][0])]
        assert answer.json()["class"] == first
        for path, body, words in (
            ("/classify", b"", "an empty file"),
            ("/classify", b"no picture", "no image of a known format"),
            ("/invocations", b"", "application/json"),
        ):
            refused = service.client.post(path, content=body)
            assert 400 <= refused.status_code < 500
            assert words in refused.json()["message"]


def other_model(context: JobContext, evaluated: object, seed: int) -> ModelVersion:
    """A version of the followed model that answers differently for each seed."""
    torch.manual_seed(seed)
    name = f"followed-{seed}"
    data = DatasetInput("followed", "f" * 32, "nowhere", {"test": 1})
    run = context.tracker.start(RunSpec("followed", name, name, {}, {}, data))
    context.tracker.log_text(run.run_id, CANDIDATE_REPORT, json.dumps(evaluated))
    model = Deployable(lenet((1, 28, 28), 10), (0.3,), (0.3,)).eval()
    context.tracker.log_model(run.run_id, model, np.zeros((2, 1, 28, 28), np.float32))
    return context.registry.register(FOLLOWED, run.run_id, shape_tag((1, 28, 28)))


def spoil(servers: Installation, context: JobContext, version: ModelVersion) -> None:
    """Cut the file of a version's model short, on the server's disk."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient(context.settings.mlflow_uri)
    source = client.get_model_version(version.name, str(version.version)).source
    [file] = servers.home.rglob(f"{source.rpartition('/')[2]}/**/model.pt2")
    file.write_bytes(file.read_bytes()[:1000])


class Hammer:
    """A client that never pauses, on a connection of its own.

    Attributes:
        answers: (version, scores) of each request, in order.
        failures: What went wrong.
    """

    def __init__(self, ask: Callable[[], tuple[int, np.ndarray]]) -> None:
        self._ask, self._stop = ask, Event()
        self._seen: dict[int, Event] = {number: Event() for number in (1, 2, 3)}
        self.answers: list[tuple[int, np.ndarray]] = []
        self.failures: list[BaseException] = []

    def __enter__(self) -> Hammer:
        self._thread = Thread(target=self._run)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.answers.append(self._ask())
            except BaseException as error:
                self.failures.append(error)
                return
            self._seen[self.answers[-1][0]].set()

    def awaits(self, version: int) -> None:
        """Wait until that version has answered from now on."""
        self._seen[version].clear()
        assert self._seen[version].wait(60), self.failures


def test_it_follows_the_alias_under_load_and_takes_nothing_broken(
    servers: Installation,
    context: JobContext,
    evaluated: dict[str, list[object]],
    pixels: np.ndarray,
) -> None:
    versions = [other_model(context, evaluated, seed) for seed in (1, 2, 3)]
    assert [version.version for version in versions] == [1, 2, 3]
    few = pixels[:3]
    unit = torch.from_numpy(few).float().div_(255)
    with torch.inference_mode():
        expected = {v.version: context.registry.load(v)(unit).numpy() for v in versions[:2]}
    spoil(servers, context, versions[2])

    def point(version: int) -> None:
        context.registry.set_alias(FOLLOWED, "canary", version)

    point(1)
    with (
        serving(servers, f"{FOLLOWED}@canary") as service,
        Hammer(lambda: service.scores(few)) as hammer,
    ):
        hammer.awaits(1)
        point(2)
        hammer.awaits(2)
        point(3)
        assert "still serving version 2" in service.until("still serving")
        hammer.awaits(2)
        point(1)
        hammer.awaits(1)
    assert hammer.failures == []
    order = [version for version, _ in hammer.answers]
    changes = [order[0], *(b for a, b in itertools.pairwise(order) if a != b)]
    assert changes == [1, 2, 1]
    for version, scores in hammer.answers:
        np.testing.assert_allclose(scores, expected[version], rtol=1e-4, atol=1e-5)
    assert not np.allclose(expected[1], expected[2])
