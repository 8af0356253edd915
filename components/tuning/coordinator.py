"""The coordinator lets worker processes, here or on other machines, work for one tuner.

Each worker holds one connection. The messages are JSON, the connections are authenticated by a
key that is made for each run of a study. A connection that ends gives its segment back.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing import AuthenticationError
from multiprocessing.connection import (
    Client,
    Connection,
    Listener,
    answer_challenge,
    deliver_challenge,
)
from queue import SimpleQueue
from types import TracebackType
from typing import Any

from components.errors import NightforgeError, StudyError, rebuilt
from components.tuning.trial import Segment
from components.tuning.tuner import Tuner

ATTEMPTS = 3  # of a segment whose worker's process ends without a result
GONE = 3  # exit status of a worker whose coordinator went away

Message = dict[str, Any]


@dataclass(frozen=True)
class Address:
    """Where workers find a coordinator, and the key that lets them in."""

    host: str
    port: int
    key: str


class Coordinator:
    """Serves one tuner while its context is open.

    Args:
        tuner: Called under a lock.
        setup: What every worker is told at first.
        changed: Called after each change, under the lock.
        host: Address to listen at: that of this machine in the cluster's network, if there is one.

    Attributes:
        address: For the workers.
        failure: Why the study cannot go on, if so.
    """

    def __init__(
        self,
        tuner: Tuner,
        setup: Mapping[str, Any],
        changed: Callable[[Tuner], None] = lambda tuner: None,
        host: str = "127.0.0.1",
    ) -> None:
        self._tuner, self._setup, self._changed = tuner, dict(setup), changed
        self._listener = Listener((host, 0), backlog=64)
        bound = self._listener.address
        assert isinstance(bound, tuple)
        self.address = Address(host, bound[1], secrets.token_hex(16))
        self.failure: NightforgeError | None = None
        self._state = threading.Condition()
        self._closed = False
        self._connections: set[Connection] = set()
        self._lost: dict[tuple[int, int], int] = {}
        self._accepting = threading.Thread(target=self._accept, name="coordinator", daemon=True)

    @property
    def lock(self) -> threading.Condition:
        """Held while the tuner changes."""
        return self._state

    def __enter__(self) -> Coordinator:
        self._accepting.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Send all workers away; segments that they hold stay open in the log."""
        with self._state:
            self._closed = True
            self._state.notify_all()
            for connection in self._connections:
                _shut(connection)
        with contextlib.suppress(OSError):  # wakes the thread that accepts
            socket.create_connection((self.address.host, self.address.port), timeout=5).close()
        self._accepting.join(timeout=5)  # nobody can connect any more

    def _accept(self) -> None:
        while True:
            connection = self._listener.accept()
            with self._state:
                if self._closed:
                    break
                self._connections.add(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()
        connection.close()
        self._listener.close()

    def _serve(self, connection: Connection) -> None:
        held: list[Segment] = []
        try:
            if self._known(connection):
                while True:
                    message = json.loads(connection.recv_bytes())
                    connection.send_bytes(json.dumps(self._answer(message, held)).encode())
        except (EOFError, OSError):  # the worker is gone
            pass
        except NightforgeError as error:  # the log cannot be written
            self._stop(error)
        except Exception as error:  # a searcher that raises, for one: never the end in silence
            self._stop(
                StudyError(
                    "coordinator of the sweep",
                    got=f"{type(error).__name__}: {error}",
                    wanted="an answer for a worker",
                    remedy="Run the study again; if it repeats, use another searcher or scheduler.",
                )
            )
        finally:
            with self._state:
                self._connections.discard(connection)
                for segment in held:
                    self._lose(segment)
                self._state.notify_all()
            connection.close()

    def _known(self, connection: Connection) -> bool:
        """Whether whoever connected has the key; a stranger may send anything."""
        key = self.address.key.encode()
        try:
            deliver_challenge(connection, key)
            answer_challenge(connection, key)
        except Exception:
            return False
        return True

    def _answer(self, message: Message, held: list[Segment]) -> Message:
        match message["op"]:
            case "hello":
                return {"setup": self._setup}
            case "claim":
                return self._claim(held)
            case "fatal":
                raise rebuilt(message["error"])
        with self._state:
            if self._closed or self.failure or not held:
                raise EOFError
            answer = self._take(message, held[0].trial)
            if answer.get("ended"):
                held.clear()
            self._changed(self._tuner)
            self._state.notify_all()
            return answer

    def _take(self, message: Message, trial: int) -> Message:
        match message["op"]:
            case "epoch":
                going = self._tuner.epoch(trial, message["epoch"], message["metrics"])
                return {"ended": not going}
            case "done":
                self._tuner.done(trial)
            case "failed":
                self._tuner.fail(trial, message["reason"])
        return {"ended": True}

    def _claim(self, held: list[Segment]) -> Message:
        """Wait until there is a segment, or until there will be none."""
        with self._state:
            while not self._closed and not self.failure:
                segment = self._tuner.claim()
                if segment:
                    held.append(segment)
                    self._changed(self._tuner)
                    return {"segment": segment.model_dump()}
                if self._tuner.over:
                    self._state.notify_all()
                    return {"segment": None}
                # Work comes with another worker's result; a limit of time comes by itself.
                self._state.wait(timeout=1)
        raise EOFError

    def _lose(self, segment: Segment) -> None:
        if self._closed or self.failure:
            return
        place = segment.trial, segment.resource
        self._lost[place] = self._lost.get(place, 0) + 1
        try:
            if self._lost[place] < ATTEMPTS:
                self._tuner.release(segment.trial)
            else:
                reason = f"its worker's process ended {ATTEMPTS} times without a result"
                self._tuner.fail(segment.trial, reason)
            self._changed(self._tuner)
        except NightforgeError as error:
            self.failure = self.failure or error

    def _stop(self, error: NightforgeError) -> None:
        with self._state:
            self.failure = self.failure or error
            for connection in self._connections:
                _shut(connection)


def _shut(connection: Connection) -> None:
    """Wake whoever waits for this connection, here and at its other end."""
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(connection.fileno())) as end:
        end.shutdown(socket.SHUT_RDWR)


class Worker:
    """A worker's end of the connection. Its process ends at once if the coordinator goes away.

    Args:
        address: Of the coordinator.

    Attributes:
        setup: What the coordinator tells every worker.

    Raises:
        StudyError: If nobody answers there.
    """

    def __init__(self, address: Address) -> None:
        try:
            self._connection = Client((address.host, address.port), authkey=address.key.encode())
        except (OSError, EOFError, AuthenticationError) as error:
            raise StudyError(
                f"coordinator at {address.host}:{address.port}",
                got=str(error) or type(error).__name__,
                wanted="a study that runs",
                remedy="Run the study again; on a cluster, let workers reach that port.",
            ) from None
        self._answers: SimpleQueue[Message] = SimpleQueue()
        threading.Thread(target=self._receive, name="answers", daemon=True).start()
        self.setup: Message = self._ask(op="hello")["setup"]

    def claim(self) -> Segment | None:
        """Wait for a segment; None at the end of the study."""
        segment = self._ask(op="claim")["segment"]
        return None if segment is None else Segment.model_validate(segment)

    def epoch(self, epoch: int, metrics: Mapping[str, float]) -> bool:
        """Tell of an epoch that is safe; False if the trial is to end here."""
        return not self._ask(op="epoch", epoch=epoch, metrics=dict(metrics))["ended"]

    def done(self) -> None:
        """The segment is finished."""
        self._ask(op="done")

    def failed(self, reason: str) -> None:
        """The trial cannot go on."""
        self._ask(op="failed", reason=" ".join(reason.split())[:500])

    def fatal(self, error: NightforgeError) -> None:
        """The study cannot go on."""
        self._ask(op="fatal", error=error.words)

    def _ask(self, **message: Any) -> Message:
        self._connection.send_bytes(json.dumps(message).encode())
        return self._answers.get()

    def _receive(self) -> None:
        while True:
            try:
                self._answers.put(json.loads(self._connection.recv_bytes()))
            except (EOFError, OSError):
                os._exit(GONE)  # whatever is in progress goes on from its checkpoint
