"""Who asked for it is told how a run ended; who does not answer holds nothing up."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import SecretStr

from components.settings import Settings
from flows import notifications
from flows.mail import Email
from flows.notifications import notify_ended, prepare_blocks
from flows.reports import DecisionReport, ModelReport, RunReport, read_report
from tests.installation import Installation
from tests.prefect_api import finished, get, post
from tests.receivers import MailReceiver, WebhookReceiver, serving, silent
from tests.waiting import until

pytestmark = [pytest.mark.servers, pytest.mark.filterwarnings("ignore::DeprecationWarning")]
JSON = {"subject": "{{subject}}", "body": "{{body}}", "to": "{{name}}"}


@pytest.fixture(scope="module")
def webhook() -> Iterator[WebhookReceiver]:
    with serving(WebhookReceiver()) as receiver:
        yield receiver


@pytest.fixture(scope="module")
def mail() -> Iterator[MailReceiver]:
    with serving(MailReceiver()) as receiver:
        yield receiver


@pytest.fixture(scope="module")
def types_at_start(servers: Installation) -> set[str]:
    """Types of blocks that can notify, before this process registers any."""
    notifying = {"block_schemas": {"block_capabilities": {"all_": ["notify"]}}}
    found = post(servers, "/block_schemas/filter", notifying)
    return {schema["block_type"]["slug"] for schema in found}


@pytest.fixture(scope="module", autouse=True)
def _blocks(
    servers: Installation,
    types_at_start: set[str],
    webhook: WebhookReceiver,
    mail: MailReceiver,
) -> Iterator[None]:
    """What a person makes on Prefect's Blocks page; this process talks to the same server."""
    from prefect.blocks.core import Block
    from prefect.blocks.notifications import CustomWebhookNotificationBlock, MattermostWebhook
    from prefect.blocks.system import Secret
    from prefect.settings import PREFECT_API_URL, temporary_settings

    def save(name: str, block: Block) -> None:
        block.save(name, overwrite=True)

    def web(name: str, url: str) -> None:
        save(
            name,
            CustomWebhookNotificationBlock(name=name, url=url, json_data=JSON, timeout=200),
        )

    def chat(name: str, port: int) -> None:
        token = SecretStr("token-abc")
        save(name, MattermostWebhook(hostname="127.0.0.1", port=port, secure=False, token=token))

    def post_office(name: str, *recipients: str) -> None:
        email = Email(
            host="127.0.0.1",
            port=mail.port,
            security="none",
            sender="nightforge@example.org",
            recipients=list(recipients),
        )
        save(name, email)

    api = servers.addresses()["prefect"] + "/api"
    with silent() as url, temporary_settings({PREFECT_API_URL: api}):
        web("all", webhook.url)
        web("moves", webhook.url)
        web("gone", webhook.url + "/410/token-abc")
        web("silent", url)
        web("dead", "http://127.0.0.1:9")
        chat("team", webhook.server_port)
        chat("dead", 9)
        save("no-notifier", Secret(value="hush"))
        post_office("on-call", "one@example.org", "two@example.org")
        post_office("half", "one@example.org", "two@nowhere")
        yield


@pytest.fixture(autouse=True)
def _empty(webhook: WebhookReceiver, mail: MailReceiver) -> None:
    webhook.got.clear()
    mail.got.clear()


def asking(folder: Path, asked: dict[str, list[str]]) -> Settings:
    """Settings of an installation whose params.yaml asks for notifications."""
    path = folder / "params.yaml"
    path.write_text(yaml.safe_dump({"notifications": asked}, sort_keys=False), encoding="utf-8")
    return Settings(home=folder, params_file=path)


def ended(*, promoted: bool | None = None, **values: Any) -> RunReport:
    report = RunReport(flow="nightly", flow_run="1", state="Completed", **values)
    if promoted is not None:
        report.decision = DecisionReport(
            promoted=promoted, reasons=("said so",), evidence=(), new=True
        )
        alias = "champion" if promoted else None
        report.model = ModelReport(name="toy", version=2, alias=alias, champion=2)
    return report


def started(servers: Installation, name: str, parameters: dict[str, Any]) -> str:
    """A flow run, as a press of Run in the UI starts it."""
    deployment = get(servers, f"/deployments/name/{name}/{name}")["id"]
    made = post(servers, f"/deployments/{deployment}/create_flow_run", {"parameters": parameters})
    return str(made["id"])


def test_a_run_tells_those_who_asked_and_those_only(
    servers: Installation, webhook: WebhookReceiver, mail: MailReceiver
) -> None:
    """Whole runs: a success and a failure, a dead receiver and a block that is not there."""
    before = servers.params.read_text("utf-8")
    asked = {
        "custom-webhook/all": ["success", "failure"],
        "custom-webhook/moves": ["promotion", "refusal"],
        "custom-webhook/dead": ["success"],
        "custom-webhook/missing": ["success"],
        "email/on-call": ["failure"],
    }
    tree = yaml.safe_load(before) | {"notifications": asked}
    servers.params.write_text(yaml.safe_dump(tree, sort_keys=False), encoding="utf-8")
    try:
        good = started(servers, "self_check", {"force": False})
        bad = started(
            servers, "rollback", {"registered_model": "cifar10-classifier", "reason": "try"}
        )
        assert (finished(servers, good), finished(servers, bad)) == ("COMPLETED", "FAILED")
    finally:
        servers.params.write_text(before, encoding="utf-8")

    success, failure = sorted(webhook.got, key=lambda got: str(got["subject"]))
    assert success["subject"].startswith("Completed: self_check")
    assert f"/flow-runs/flow-run/{good}" in success["body"]
    assert failure["subject"].startswith("Failed: rollback cifar10-classifier: ")
    [letter] = mail.got
    assert letter["Subject"] == failure["subject"]
    assert letter["To"] == "one@example.org, two@example.org"
    assert letter.get_content().splitlines() == failure["body"].splitlines()

    report = read_report(servers.home / "reports", f"{good}.json")
    assert report
    dead, absent = report.warnings
    assert dead.startswith("custom-webhook/dead was not notified: ConnectError")
    assert absent.startswith("custom-webhook/missing was not notified: ValueError")
    mine = {"logs": {"flow_run_id": {"any_": [good]}}}

    def warned() -> set[str]:
        logged = post(servers, "/logs/filter", mine)
        return {line["message"] for line in logged if line["level"] == logging.WARNING}

    until(lambda: {dead, absent} <= warned())
    key = {"artifacts": {"key": {"any_": ["self-check-report"]}}}
    artifacts = post(servers, "/artifacts/filter", key)
    assert any(dead in artifact["data"] for artifact in artifacts)


def test_promotion_and_refusal_reach_those_who_asked(
    tmp_path: Path, webhook: WebhookReceiver
) -> None:
    settings = asking(
        tmp_path, {"custom-webhook/all": ["refusal"], "custom-webhook/moves": ["promotion"]}
    )
    assert notify_ended(settings, ended(promoted=True)) == []
    assert notify_ended(settings, ended(promoted=False)) == []
    assert notify_ended(settings, ended()) == []
    assert [(got["to"], got["subject"]) for got in webhook.got] == [
        ("moves", "Promoted: toy version 2 (nightly)"),
        ("all", "Refused: toy version 2 (nightly)"),
    ]


def test_blocks_that_build_on_apprise_deliver(tmp_path: Path, webhook: WebhookReceiver) -> None:
    """Slack's is one of them; Mattermost's can be pointed at a server of our own."""
    settings = asking(tmp_path, {"mattermost-webhook/team": ["refusal"]})
    assert notify_ended(settings, ended(promoted=False)) == []
    [got] = webhook.got
    assert "Refused: toy version 2 (nightly)" in got["text"]
    assert "said so" in got["text"]


def test_nothing_configured_sends_nothing(
    tmp_path: Path, webhook: WebhookReceiver, mail: MailReceiver
) -> None:
    assert notify_ended(asking(tmp_path, {}), ended(promoted=True)) == []
    assert (webhook.got, mail.got) == ([], [])


def test_who_never_answers_is_left_behind(
    tmp_path: Path, webhook: WebhookReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its block would wait for 200 s; this test's time limit is the bound."""
    monkeypatch.setattr(notifications, "PATIENCE", 2.0)
    settings = asking(
        tmp_path, {"custom-webhook/silent": ["success"], "custom-webhook/all": ["success"]}
    )
    assert notify_ended(settings, ended()) == [
        "custom-webhook/silent was not notified: no answer within 2 s"
    ]
    assert [got["to"] for got in webhook.got] == ["all"]


def test_no_trouble_is_an_error_or_tells_a_secret(tmp_path: Path, mail: MailReceiver) -> None:
    names = ["custom-webhook/gone", "mattermost-webhook/dead", "secret/no-notifier", "email/half"]
    lines = notify_ended(asking(tmp_path, {name: ["success"] for name in names}), ended())
    assert [line.split(" ")[0] for line in lines] == names
    for line, words in zip(
        lines,
        ("answer was 410 Gone", "NotificationError", "cannot notify", "two@nowhere"),
        strict=True,
    ):
        assert words in line
        assert "token-abc" not in line
    assert len(mail.got) == 1  # the other recipient has it


def test_an_unusable_file_is_a_line_as_well(tmp_path: Path) -> None:
    [line] = notify_ended(asking(tmp_path, {"slack-webhook/team": ["sucess"]}), ended())
    assert line.startswith("nobody was notified: ConfigError (params.yaml: notifications")


def test_a_start_names_the_blocks_that_are_not_there(tmp_path: Path) -> None:
    names = [
        "custom-webhook/all",
        "custom-webhook/missing",
        "pigeon/a",
        "secret/no-notifier",
    ]
    lines = list(prepare_blocks(asking(tmp_path, {name: ["failure"] for name in names})))
    assert len(lines) == 3
    assert "there is no block custom-webhook/missing;" in lines[0]
    assert "there is no block pigeon/a;" in lines[1]
    assert "secret/no-notifier is a block that cannot notify" in lines[2]


def test_the_ui_can_make_every_type_of_block(types_at_start: set[str]) -> None:
    assert {"slack-webhook", "custom-webhook", "ms-teams-webhook", "email"} <= types_at_start
