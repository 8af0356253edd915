"""The HTTP side of serving: routes beside MLflow's, answers to bad input, and who answered."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import datetime
from typing import Protocol

import torch
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from components.datasets.base import Float32Array
from components.errors import CorruptDataError
from components.jobs.contracts import Contract, Inputs
from components.jobs.predict import said

VERSION_HEADER = "X-Nightforge-Version"
MAX_BYTES = 32 << 20  # of what is sent to /classify
MAX_BODY = 256 << 20  # of any request
SHOWN = 300  # characters of each end of an error that are sent
BAD_REQUEST, TOO_LARGE, SERVER_ERROR = 400, 413, 500
INVOCATIONS = "/invocations"
BODY = {
    "requestBody": {
        "content": {"image/*": {}, "text/plain": {}, "application/json": {}},
        "required": True,
    }
}


class Classifying(Protocol):
    """A loaded model."""

    def scores(self, inputs: Inputs) -> Float32Array:
        """Scores (B, classes) for images (B, C, H, W) in [0, 1] or token ids (B, L)."""


class ServedModel(BaseModel):
    """What GET /model says."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    version: int
    alias: str | None = Field(description="The alias that is followed, if one is")
    classes: tuple[str, ...]
    input_shape: tuple[int, ...] = Field(
        description="Channels, height and width of an image, or number of tokens"
    )
    run: str = Field(description="Page of the training run")
    loaded_at: datetime


class Classified(BaseModel):
    """What POST /classify says."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    class_name: str = Field(serialization_alias="class")
    probability: float
    probabilities: dict[str, float]
    version: int


def application(
    app: FastAPI, about: ServedModel, contract: Contract, model: Classifying
) -> FastAPI:
    """Add GET /model and POST /classify to MLflow's application."""

    @app.get("/model")
    async def described() -> ServedModel:
        """Which version answers."""
        return about

    @app.post("/classify", response_model=Classified, openapi_extra=BODY)
    async def classify(request: Request) -> JSONResponse:
        """Classify one image file, or one text, sent as it is (or JSON with text and second)."""
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_BYTES:
                return _refusal(TOO_LARGE, f"wanted up to {MAX_BYTES} bytes")
        try:
            found = await asyncio.to_thread(classified, bytes(body), about, contract, model)
        except CorruptDataError as error:
            return _refusal(BAD_REQUEST, str(error))
        return JSONResponse(found.model_dump(by_alias=True))

    async def failed(request: Request, error: Exception) -> JSONResponse:
        # MLflow answers for the model itself; what else fails there is the reading of the body.
        status = BAD_REQUEST if request.url.path == INVOCATIONS else SERVER_ERROR
        return _refusal(status, f"{type(error).__name__}: {error}")

    app.add_exception_handler(Exception, failed)
    return app


def classified(
    data: bytes, about: ServedModel, contract: Contract, model: Classifying
) -> Classified:
    """The class of one encoded image, or of one text.

    Raises:
        CorruptDataError: If it is not what the model takes.
    """
    scores = torch.from_numpy(model.scores(contract.read(data)))
    found = said("", scores.softmax(1)[0].numpy(), contract)
    return Classified(
        class_name=found.class_name,
        probability=found.probability,
        probabilities=found.probabilities,
        version=about.version,
    )


def _refusal(status: int, message: str) -> JSONResponse:
    code = "INTERNAL_ERROR" if status >= SERVER_ERROR else "BAD_REQUEST"
    return JSONResponse({"error_code": code, "message": _short(message)}, status_code=status)


def _short(message: str) -> str:
    """One line without the middle, where MLflow repeats the client's data."""
    line = " ".join(message.split())
    return line if len(line) <= 2 * SHOWN else f"{line[:SHOWN]} ... {line[-SHOWN:]}"


class Application:
    """Answers each request with the version that is current when it begins, and says which.

    Args:
        current: The number of the version to answer with, and its application.
        say: Told of a failure that is not the client's, in one line.
    """

    def __init__(
        self, current: Callable[[], tuple[int, ASGIApp]], say: Callable[[str], None]
    ) -> None:
        self._current, self._say = current, say

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        number, app = self._current()
        answer = _Answer(send, number)
        asked = scope["method"], scope["path"]
        if asked == ("POST", INVOCATIONS) and "content-type" not in Headers(scope=scope):
            app = _refusal(415, "got no Content-Type, wanted application/json")
        whole = await _whole(receive)
        if whole is None:
            app = _refusal(TOO_LARGE, f"wanted a body of up to {MAX_BODY} bytes")
        try:
            await app(scope, whole or receive, answer)
        except Exception as error:
            if answer.status is None or answer.status >= SERVER_ERROR:
                self._say(f"{' '.join(asked)}: {_short(f'{type(error).__name__}: {error}')}")


async def _whole(receive: Receive) -> Receive | None:
    """The request again with its body in one piece; None if that is more than MAX_BODY bytes."""
    body, more = bytearray(), True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > MAX_BODY:
            return None
    pieces: list[Message] = [{"type": "http.request", "body": bytes(body), "more_body": False}]

    async def again() -> Message:
        return pieces.pop() if pieces else await receive()

    return again


class _Answer:
    """Passes an answer on with the version in its head, and without traces in its errors.

    Attributes:
        status: Of the answer, once it has begun.
    """

    def __init__(self, send: Send, number: int) -> None:
        self._send, self._number = send, number
        self.status: int | None = None
        self._held: Message | None = None
        self._body = bytearray()

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(raw=list(message["headers"]))
            headers[VERSION_HEADER] = str(self._number)
            message, self.status = {**message, "headers": headers.raw}, message["status"]
            if message["status"] >= BAD_REQUEST:  # until its body is known
                self._held = message
                return
        elif self._held:
            self._body += message.get("body", b"")
            if message.get("more_body"):
                return
            body = _without_trace(bytes(self._body))
            headers = MutableHeaders(raw=self._held["headers"])
            headers["content-length"] = str(len(body))
            await self._send(self._held)
            self._held, message = None, {"type": "http.response.body", "body": body}
        await self._send(message)


def _without_trace(body: bytes) -> bytes:
    """MLflow's error with a message of readable length, and nothing of its own insides."""
    try:
        told = json.loads(body)
        kept = {"error_code": told["error_code"], "message": _short(told["message"])}
    except (ValueError, TypeError, KeyError):
        return body
    return json.dumps(kept).encode()
