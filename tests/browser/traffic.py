"""What a browser asked for while pages were open, and what went wrong."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, ConsoleMessage, Request, Response, WebError

# Of the interfaces, not of Nightforge: each is a whole line of `Traffic.faults`.
THEIRS = [
    r"404 GET .*:\d+/favicon\.ico",  # Prefect's page names an icon that it does not bring
    r"404 GET .*:\d+/ico/undefined\.svg",  # the icon of a run's state before it is known
    r"404 GET .*/mlflow/users/current",  # MLflow asks for the account also where there are none
    r"409 POST .*/create_flow_run",  # the bad value; the form then shows why, and on the console
    r"console \w+ .*/assets/FlowRunCreate-.*\.js",
    # A task run that a page heard of by an event and the server has not stored yet.
    r"404 GET .*:\d+/api/task_runs/[0-9a-f-]+",
    r"console \w+: Batch lookup failed for id: (?s:.*)",
    r"console \w+ .*/assets/index-[\w-]+\.js",
    r"503 \w+ .*:\d+/api/.*",  # Prefect over SQLite, when busy; its page asks again
    # The run's graph, left within half a second of a change, is drawn on though it is gone.
    r"exception Cannot read properties of null \(reading 'position'\) .*/assets/index-[\w-]+\.js",
]


@dataclass
class Traffic:
    """The requests of a browser's pages and workers, and the faults they showed.

    Attributes:
        asked: Address of each request, in order.
        faults: Answers of 400 and above, requests without an answer, errors on the console and
            exceptions, one line each.
    """

    asked: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def watch(self, context: BrowserContext) -> None:
        """Take note of everything from now on."""
        context.on("request", lambda request: self.asked.append(request.url))
        context.on("response", self._answered)
        context.on("requestfailed", self._unanswered)
        context.on("console", self._said)
        context.on("weberror", self._raised)

    def hosts(self) -> set[str]:
        """Whom the pages asked; what they made themselves (blob, data) has no host."""
        return {urlsplit(url).netloc for url in self.asked} - {""}

    def ours(self) -> list[str]:
        """The faults that are not known to be those of Prefect's or MLflow's own pages."""
        known = re.compile("|".join(f"(?:{line})" for line in THEIRS))
        return [fault for fault in self.faults if not known.fullmatch(fault)]

    def _answered(self, response: Response) -> None:
        if response.status >= 400:
            self.faults.append(f"{response.status} {response.request.method} {response.url}")

    def _unanswered(self, request: Request) -> None:
        if request.failure != "net::ERR_ABORTED":  # the page was left meanwhile
            self.faults.append(f"{request.failure} {request.method} {request.url}")

    def _raised(self, raised: WebError) -> None:
        script = re.search(r"https?://[^\s)]+\.js", raised.error.stack or "")  # the innermost
        self.faults.append(f"exception {raised.error.message} {script[0] if script else ''}")

    def _said(self, message: ConsoleMessage) -> None:
        # An answer that is an error is said a second time, without its address.
        if message.type == "error" and not message.text.startswith("Failed to load resource"):
            self.faults.append(f"console {message.text} {message.location['url']}")
