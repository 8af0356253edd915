"""A person opens Prefect, starts a night, reads its report and follows it into MLflow.

One tab, in the order in which it happens; every step leaves a picture in test-artifacts/browser.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.pages import Album, RunForm, picture_for_readme, width
from tests.browser.traffic import Traffic
from tests.installation import ROOT, Installation
from tests.prefect_api import get, post

pytestmark = [pytest.mark.servers, pytest.mark.timeout(900)]
MODEL = "fashion_mnist_sample-classifier"
EPOCHS = 4
BUSY = 503  # SQLite under load; a person presses the button again
CURVES = ["train_accuracy", "train_loss", "validation_accuracy", "validation_loss"]
PICTURES = ["learning curves", "confusion matrix", "worst mistakes"]
ENDED = re.compile("Completed|Failed|Crashed|Cancelled")
NIGHT_MS = 800_000  # a machine that does much else, too
expect.set_options(timeout=60_000)


def words(text: str) -> str:
    """Text as a page shows it: without line breaks and the marks of Markdown."""
    return " ".join(text.replace("`", "").replace("*", "").split())


@pytest.fixture(scope="module")
def deployment(page: Page, servers: Installation) -> dict[str, Any]:
    """The nightly deployment, whose page is open."""
    page.goto(servers.addresses()["prefect"])
    page.get_by_role("button", name="Deployments").click()
    page.get_by_role("row", name=re.compile("^nightly nightly ")).get_by_role("link").first.click()
    found: dict[str, Any] = get(servers, "/deployments/name/nightly/nightly")
    return found


def test_the_deployment_says_what_it_does(page: Page, deployment: dict[str, Any]) -> None:
    page.get_by_role("tablist").get_by_text("Description").click()
    description = page.get_by_role("tabpanel").locator("article")
    paragraphs = description.locator(".markdown-renderer__text--paragraph").all_inner_texts()
    assert "\n\n".join(paragraphs) == deployment["description"]  # none is cut, or taken for code


@pytest.fixture(scope="module")
def form(page: Page, deployment: dict[str, Any]) -> RunForm:
    """The form of the nightly flow."""
    page.get_by_role("button", name="Run", exact=True).click()
    page.get_by_text("Custom run").click()
    form = RunForm(page)
    form.field("dataset").wait_for()
    return form


def test_the_form_shows_every_field_with_its_help(
    form: RunForm, deployment: dict[str, Any]
) -> None:
    schema = deployment["parameter_openapi_schema"]
    fields = dict(sorted(schema["properties"].items(), key=lambda field: field[1]["position"]))
    assert form.labels() == list(fields)
    for label, field in fields.items():
        assert form.help(label) == words(field["description"])
    training = schema["definitions"]["TrainConfig"]["properties"].values()
    assert form.labels("training") == [field["title"] for field in training]
    for field in training:
        assert form.help("training", field["title"]) == words(field["description"])
    assert form.help("training", "Epochs").endswith("(1 to 1,000)")


def test_a_bad_value_is_refused_and_starts_nothing(
    page: Page, form: RunForm, servers: Installation
) -> None:
    nights = {"deployments": {"name": {"any_": ["nightly"]}}}
    before = post(servers, "/flow_runs/count", nights)
    form.fill("0", "training", "Epochs")
    with page.expect_response("**/create_flow_run") as refusal:
        form.submit()
    assert refusal.value.status == 409
    said = page.get_by_text("'training.epochs'. Failure reason: 0 is less than the minimum of 1")
    expect(said.first).to_be_visible()
    assert post(servers, "/flow_runs/count", nights) == before


@pytest.fixture(scope="module")
def night(page: Page, form: RunForm) -> str:
    """The id of a night started by the form; its page is open."""
    form.choose("fashion_mnist_sample", "dataset")
    form.fill(str(EPOCHS), "training", "Epochs")
    status = BUSY
    while status == BUSY:  # pytest's time limit ends a server that stays so
        with page.expect_response("**/create_flow_run") as created:
            form.submit()
        status = created.value.status
    assert status == 201
    run = str(created.value.json()["id"])
    page.locator(f'a[href$="/runs/flow-run/{run}"]').first.click()
    return run


def test_the_night_is_watched_from_start_to_end(
    page: Page, night: str, servers: Installation
) -> None:
    state = page.locator(".state-badge").first
    expect(state).to_have_text(ENDED, timeout=NIGHT_MS)
    expect(state).to_have_text("Completed")
    parameters = get(servers, f"/flow_runs/{night}")["parameters"]
    assert parameters["dataset"] == "fashion_mnist_sample"
    assert parameters["training"]["epochs"] == EPOCHS


@pytest.fixture(scope="module")
def report(page: Page, night: str) -> Locator:
    """The report of the night, which is open."""
    page.get_by_role("tablist").get_by_text("Artifacts").click()
    page.get_by_text("nightly-report").first.click()
    return page.locator("article", has=page.get_by_role("heading", level=1))


def test_the_report_says_what_happened_and_shows_it(
    page: Page, report: Locator, servers: Installation, for_readme: bool
) -> None:
    expect(report).to_contain_text(MODEL)
    expect(report).to_contain_text("version 1 promoted")
    expect(report).to_contain_text("BUNDLED SAMPLE")
    for name in PICTURES:
        picture = report.get_by_role("img", name=name)
        assert width(picture) > 500
        assert str(picture.get_attribute("src")).startswith(servers.addresses()["mlflow"])
    if for_readme:
        picture_for_readme(page, ROOT / "docs" / "report.png", 1490)


def test_every_link_of_the_report_opens(page: Page, report: Locator, album: Album) -> None:
    there = {"Prefect run": "Completed", "data card": "test_examples", "MLflow model": "champion"}
    links = report.get_by_role("link").all()
    assert {link.inner_text() for link in links} >= {*there, "MLflow run"}
    for link in links:
        address, like_a_browser = str(link.get_attribute("href")), {"Accept": "text/html"}
        assert page.request.get(address, headers=like_a_browser).status == 200
    for name, text in there.items():
        with page.expect_popup() as opened:
            report.get_by_role("link", name=name).click()
        expect(opened.value.get_by_text(text).first).to_be_visible()
        album.add(opened.value, f"link {name}")
        opened.value.close()


@pytest.fixture(scope="module")
def run_page(page: Page, report: Locator) -> Page:
    """The tab of the MLflow run that the report's link opens."""
    with page.expect_popup() as opened:
        report.get_by_role("link", name="MLflow run").click()
    return opened.value


def test_the_mlflow_run_shows_its_curves(run_page: Page, for_readme: bool) -> None:
    expect(run_page.get_by_role("heading", name=re.compile("^lenet_modern-"))).to_be_visible()
    run_page.get_by_role("tab", name="Model metrics").click()
    run_page.get_by_placeholder("Search metric charts").fill("^(train|validation)_")
    for name in CURVES:
        heading = run_page.get_by_role("heading", name=name, exact=True)
        chart = run_page.get_by_test_id("experiment-view-compare-runs-card").filter(has=heading)
        chart.scroll_into_view_if_needed()  # it is drawn when it is seen
        expect(chart.locator(".scatterlayer .points path")).to_have_count(EPOCHS)
    if for_readme:
        picture_for_readme(run_page, ROOT / "docs" / "run.png", 1000)


def test_the_mlflow_run_shows_its_pictures(run_page: Page, album: Album) -> None:
    run_page.get_by_role("tab", name="Artifacts").click()
    shown = run_page.locator('main img[src^="blob:"]').first
    before = ""
    for picture in PICTURES:
        run_page.get_by_text(f"{picture.replace(' ', '_')}.png").first.click()
        expect(shown).not_to_have_attribute("src", before)
        before = str(shown.get_attribute("src"))
        assert width(shown) > 500
        album.add(run_page, picture)


def test_the_registry_shows_the_champion(run_page: Page, album: Album) -> None:
    run_page.get_by_role("link", name="Model registry").click()
    greeting = run_page.get_by_role("dialog")  # shown to those who come for the first time
    greeting.get_by_role("button", name="Close").click()
    expect(greeting).to_be_hidden()
    row = run_page.get_by_role("row", name=MODEL)
    expect(row.get_by_role("status", name="champion")).to_be_visible()
    album.add(run_page, "registry")
    row.get_by_role("link", name=MODEL).click()
    run_page.get_by_role("link", name="Version 1").click()
    expect(run_page.get_by_role("status", name="champion")).to_be_visible()
    expect(run_page.get_by_role("heading", name=f"{MODEL}: lenet_modern")).to_be_visible()


def test_the_pages_ask_nobody_but_the_servers(
    run_page: Page, traffic: Traffic, servers: Installation
) -> None:
    assert traffic.hosts() == {urlsplit(url).netloc for url in servers.addresses().values()}


def test_nothing_on_the_pages_went_wrong(run_page: Page, traffic: Traffic) -> None:
    assert any(fault.startswith("409 POST") for fault in traffic.faults)  # it does take note
    assert traffic.ours() == []
