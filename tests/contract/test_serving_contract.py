"""The service around real MLflow models, asked without a socket."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Callable
from contextlib import chdir
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np
import pytest
import torch
from both_services import Services
from PIL import Image
from torch import nn

from components.errors import PromotionError
from components.jobs.context import JobContext, shape_tag
from components.jobs.contracts import contract_of
from components.jobs.evaluate import CANDIDATE_REPORT
from components.jobs.predict import predict
from components.jobs.references import Reference, find
from components.jobs.serve import Follower, load_served
from components.jobs.serve_app import MAX_BYTES, VERSION_HEADER, Application
from components.settings import Settings
from components.tracking.base import CHAMPION, ModelVersion

SHAPE, NAMES = (1, 8, 8), ("a", "b", "c")
EXAMPLE = np.random.default_rng(0).random((2, *SHAPE), dtype=np.float32)
PIXELS = np.random.default_rng(1).integers(0, 256, (5, *SHAPE)).astype(np.uint8)


@dataclass
class World:
    """A registry with classifiers, and what was said about serving them."""

    services: Services
    context: JobContext
    make_report: Callable[..., object]
    said: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        return f"{self.services.model}-classifier"

    def register(self, seed: int, outputs: int = 3, shape: tuple[int, ...] = SHAPE) -> ModelVersion:
        torch.manual_seed(seed)
        pixels = int(np.prod(shape))
        model = nn.Sequential(nn.Flatten(), nn.Linear(pixels, outputs)).eval()
        run = self.services.run(fingerprint=f"{seed}")
        report = self.make_report([0, 1, 2], [0, 1, 2], class_names=NAMES)
        self.context.tracker.log_text(run.run_id, CANDIDATE_REPORT, report.model_dump_json())
        example = np.random.default_rng(0).random((2, *shape), dtype=np.float32)
        self.context.tracker.log_model(run.run_id, model, example)
        return self.context.registry.register(self.name, run.run_id, shape_tag(shape))

    def champion(self, version: ModelVersion) -> None:
        self.context.registry.set_alias(self.name, CHAMPION, version.version)

    def follower(self) -> Follower:
        reference = Reference(self.name)
        return Follower(
            self.context.registry,
            reference,
            lambda version: load_served(self.context, reference, version),
            self.said.append,
        )


@dataclass
class Client:
    """Asks a follower's application."""

    follower: Follower
    said: list[str] = field(default_factory=list)

    def ask(self, method: str, path: str, **given: object) -> httpx.Response:
        app = Application(self.follower.current, self.said.append)

        async def once() -> httpx.Response:
            transport = httpx.ASGITransport(app=app)
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
                return await client.request(method, path, **given)

        return asyncio.run(once())

    def scores(self, pixels: np.ndarray) -> np.ndarray:
        answer = self.ask("POST", "/invocations", json={"inputs": (pixels / 255).tolist()})
        assert answer.status_code == 200, answer.text
        return np.asarray(answer.json()["predictions"], dtype=np.float32)


@pytest.fixture
def world(over_mlflow: Services, tmp_path: Path, make_report: Callable[..., object]) -> World:
    context = JobContext(Settings(home=tmp_path), over_mlflow.tracker, over_mlflow.registry)
    return World(over_mlflow, context, make_report)


@pytest.fixture
def client(world: World) -> Client:
    world.champion(world.register(seed=1))
    return Client(world.follower())


@pytest.fixture(scope="module")
def standing(
    mlflow_folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
    make_report: Callable[..., object],
) -> Client:
    """A champion that several tests ask."""
    from components.tracking.mlflow import MlflowTracker
    from components.tracking.mlflow_registry import MlflowRegistry

    uri = f"sqlite:///{mlflow_folder / 'mlflow.db'}"
    tracker, registry = MlflowTracker(uri), MlflowRegistry(uri)
    services = Services(tracker, registry, "standing", "standing", mlflow_folder)
    context = JobContext(Settings(home=tmp_path_factory.mktemp("home")), tracker, registry)
    world = World(services, context, make_report)
    with chdir(mlflow_folder):
        world.champion(world.register(seed=1))
        return Client(world.follower())


def png(image: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(image[0]).save(stream, format="PNG")
    return stream.getvalue()


def test_all_ways_to_ask_give_the_same_answer(world: World, client: Client, tmp_path: Path) -> None:
    model = world.context.registry.load(client.follower.served.version)
    with torch.inference_mode():
        expected = model(torch.from_numpy(PIXELS).float().div_(255))
    np.testing.assert_array_equal(client.scores(PIXELS), expected.numpy())
    for number, image in enumerate(PIXELS):
        (tmp_path / f"{number}.png").write_bytes(png(image))
    version = find(world.context.registry, Reference(world.name))
    predicted = predict(world.context, version, [tmp_path])
    shares = expected.softmax(1).numpy()
    for image, row, one in zip(PIXELS, shares, predicted.predictions, strict=True):
        answer = client.ask("POST", "/classify", content=png(image)).json()
        assert answer["class"] == one.class_name == NAMES[row.argmax()]
        assert answer["probability"] == pytest.approx(row.max(), rel=1e-5)
        assert one.probability == pytest.approx(row.max(), rel=1e-5)
        assert answer["version"] == 1
        assert set(answer["probabilities"]) == set(NAMES)


def test_the_service_says_what_it_serves(client: Client) -> None:
    answer = client.ask("GET", "/model")
    told = answer.json()
    assert (told["version"], told["alias"], told["classes"]) == (1, "champion", list(NAMES))
    assert told["input_shape"] == list(SHAPE)
    assert client.follower.served.version.run_id in told["run"]
    assert told["loaded_at"]
    assert answer.headers[VERSION_HEADER] == "1"
    for path in ("/ping", "/health", "/version"):
        assert client.ask("GET", path).status_code == 200


def test_size_and_classes_are_known_where_the_data_are_not(world: World) -> None:
    contract = contract_of(world.context, world.register(seed=1))
    assert contract.input_shape == SHAPE
    assert contract.class_names == NAMES


def test_a_version_that_no_night_evaluated_is_refused(world: World) -> None:
    run = world.services.run()
    world.context.tracker.log_model(run.run_id, nn.Flatten().eval(), EXAMPLE)
    version = world.context.registry.register(world.name, run.run_id, {})
    with pytest.raises(PromotionError, match=CANDIDATE_REPORT):
        contract_of(world.context, version)


def test_it_follows_the_alias_to_a_version_with_another_picture_size(
    world: World, client: Client
) -> None:
    before = client.scores(PIXELS)
    world.champion(world.register(seed=2, shape=(3, 12, 12)))
    client.follower.poll()
    answer = client.ask("POST", "/invocations", json={"inputs": np.zeros((1, 3, 12, 12)).tolist()})
    assert answer.status_code == 200
    assert answer.headers[VERSION_HEADER] == "2"
    world.champion(find(world.context.registry, Reference(world.name, None, 1)))
    client.follower.poll()
    np.testing.assert_array_equal(client.scores(PIXELS), before)
    assert [line.rpartition(" ")[2] for line in world.said] == ["2", "1"]


def broken(world: World, version: ModelVersion) -> None:
    """Cut the file of a version's model short."""
    from mlflow.tracking import MlflowClient

    source = MlflowClient().get_model_version(version.name, str(version.version)).source
    [file] = world.services.folder.rglob(f"{source.rpartition('/')[2]}/**/model.pt2")
    file.write_bytes(file.read_bytes()[:500])


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda world: broken(world, world.register(seed=3)), "still serving version 1"),
        (lambda world: world.register(seed=3, outputs=2), "got 2 scores for one input"),
    ],
    ids=["a file that is cut short", "scores for other classes"],
)
def test_a_version_that_does_not_work_is_not_taken(
    world: World, client: Client, spoil: Callable[[World], object], words: str
) -> None:
    before = client.scores(PIXELS)
    spoil(world)
    world.context.registry.set_alias(world.name, CHAMPION, 2)
    for _ in range(3):
        client.follower.poll()
    [line] = world.said
    assert words in line
    np.testing.assert_array_equal(client.scores(PIXELS), before)
    world.champion(world.register(seed=4))
    client.follower.poll()
    assert client.ask("GET", "/ping").headers[VERSION_HEADER] == "3"


def test_the_first_version_must_work(world: World) -> None:
    world.champion(world.register(seed=1, outputs=2))
    with pytest.raises(PromotionError, match="2 scores"):
        world.follower()


def test_no_copy_of_a_served_model_stays_on_disk(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.champion(world.register(seed=1))
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    client = Client(world.follower())
    assert list(scratch.rglob("*.pt2")) == []
    client.scores(PIXELS)


ONE = {"inputs": np.zeros((1, *SHAPE)).tolist()}
JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"", JSON),
        (b"", {}),
        (json.dumps(ONE).encode(), {}),
        (json.dumps(ONE).encode(), {"Content-Type": "application/json; charset=latin1"}),
        (json.dumps(ONE).encode(), {"Content-Type": "text/html"}),
        (json.dumps(ONE).encode(), {"Content-Type": "text/csv"}),
        (json.dumps(ONE).encode(), {"Content-Type": "application/vnd.apache.parquet"}),
        (png(PIXELS[0]), JSON),
        (png(PIXELS[0]), {"Content-Type": "image/png"}),
        (b"\xff\xfe", JSON),
        (b"null", JSON),
        (b"[1, 2]", JSON),
        (b"{}", JSON),
        (b'{"inputs": []}', JSON),
        (b'{"inputs": null}', JSON),
        (b'{"inputs": 3}', JSON),
        (b'{"inputs": "picture"}', JSON),
        (b'{"inputs": [[[[]]]]}', JSON),
        (b'{"inputs": [[1, 2], [3]]}', JSON),
        (b'{"inputs": [["a"]]}', JSON),
        (b'{"inputs": [{"a": 1}]}', JSON),
        (b'{"inputs": {"a": [1]}}', JSON),
        (b'{"instances": [{"a": 1}, 2]}', JSON),
        (b'{"inputs": [[[[1, 2], [3, 4]]]]}', JSON),
        (json.dumps({"inputs": np.zeros((1, 3, 8, 8)).tolist()}).encode(), JSON),
        (json.dumps({"inputs": np.zeros(SHAPE).tolist()}).encode(), JSON),
        (json.dumps({"inputs": np.zeros((0, *SHAPE)).tolist()}).encode(), JSON),
        (json.dumps({"instances": [1], "inputs": [2]}).encode(), JSON),
        (b'{"dataframe_split": {"columns": ["a"], "data": [[1]]}}', JSON),
        (b'{"dataframe_split": 3}', JSON),
        (b'{"dataframe_records": [{"a": 1}]}', JSON),
        (b'{"messages": [{"role": "user", "content": "hi"}]}', JSON),
        (b"[" * 100_000, JSON),
    ],
)
def test_bad_input_is_the_clients_error(
    standing: Client, body: bytes, headers: dict[str, str]
) -> None:
    answer = standing.ask("POST", "/invocations", content=body, headers=headers)
    print(answer.status_code, answer.text[:300])
    assert 400 <= answer.status_code < 500, answer.text
    assert 10 < len(answer.text) < 1000
    assert "Traceback" not in answer.text
    assert "stack_trace" not in answer.text
    assert standing.said == []
    assert standing.scores(PIXELS).shape == (5, 3)


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b"", 400, "got an empty file"),
        (b"not an image", 400, "got no image of a known format"),
        (png(PIXELS[0])[:60], 400, "got a broken image"),
        (bytes(MAX_BYTES + 1), 413, f"up to {MAX_BYTES} bytes"),
    ],
    ids=["empty", "text", "broken", "large"],
)
def test_what_is_no_image_is_refused(
    standing: Client, body: bytes, status: int, words: str
) -> None:
    answer = standing.ask("POST", "/classify", content=body)
    assert answer.status_code == status
    assert words in answer.json()["message"]
    assert answer.headers[VERSION_HEADER] == "1"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nothing", 404), ("GET", "/classify", 405), ("GET", "/invocations", 405)],
)
def test_other_routes_are_refused(standing: Client, method: str, path: str, status: int) -> None:
    assert standing.ask(method, path).status_code == status


@pytest.mark.parametrize("path", ["/invocations", "/classify"])
def test_a_body_that_nobody_should_keep_is_refused(
    standing: Client, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr("components.jobs.serve_app.MAX_BODY", 1000)
    headers = {"content-type": "application/json"}
    answer = standing.ask("POST", path, content=b" " * 2000, headers=headers)
    assert answer.status_code == 413, answer.text
    assert "1000 bytes" in answer.text
