"""Prefect's and MLflow's pages, addressed by what a person reads on them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from playwright.sync_api import Locator, Page, expect

SIZE = (1280, 800)


@dataclass(frozen=True)
class RunForm:
    """The form of a deployment in Prefect's first interface."""

    page: Page

    def field(self, *path: str) -> Locator:
        """A field by the labels of its section and its own, as in `field("training", "Epochs")`."""
        found: Page | Locator = self.page
        for label in path:
            words = f"^{re.escape(label)}( \\(Optional\\))?$".replace("\\", "\\\\")
            header = f'> .p-label__header .schema-form-property__label:text-matches("{words}")'
            found = found.locator(f".schema-form-property:has({header})")
        assert isinstance(found, Locator)
        return found

    def labels(self, *path: str) -> list[str]:
        """The labels of a section's fields, or of the form's, from top to bottom."""
        inside = self.field(*path) if path else self.page
        properties = inside.locator(".schema-form-properties").first
        names = properties.locator(
            "> .schema-form-property > .p-label__header .schema-form-property__label"
        )
        return [name.removesuffix(" (Optional)") for name in names.all_inner_texts()]

    def help(self, *path: str) -> str:
        """The text under a field's label."""
        text = self.field(*path).locator("> .p-label__header .schema-form-property__description")
        return " ".join(text.inner_text().split())

    def fill(self, value: str, *path: str) -> None:
        """Type into a field."""
        self.field(*path).locator("input").fill(value)

    def choose(self, value: str, *path: str) -> None:
        """Pick one of a field's choices."""
        self.field(*path).locator(".p-select-button__control").focus()
        self.page.keyboard.press("ArrowDown")
        self.page.locator(".p-select-option").get_by_text(value, exact=True).click()
        expect(self.field(*path).locator(".p-select-button__value")).to_have_text(value)

    def submit(self) -> None:
        """Press the button."""
        self.page.get_by_role("button", name="Submit").click()


@dataclass(frozen=True)
class Album:
    """A folder of numbered pictures."""

    folder: Path

    def add(self, page: Page, what: str) -> None:
        """Keep what a page shows."""
        number = len(list(self.folder.iterdir())) + 1
        path = self.folder / f"{number:02}-{what.replace(' ', '_')}.png"
        page.screenshot(path=path, animations="disabled")


def width(picture: Locator) -> int:
    """Pixels of a picture, once it is loaded; an error if it cannot be."""
    pixels: int = picture.evaluate("image => image.decode().then(() => image.naturalWidth)")
    return pixels


def picture_for_readme(page: Page, path: Path, height: int) -> None:
    """Store what the page shows, in 128 colours, which keeps the file small."""
    page.set_viewport_size({"width": SIZE[0], "height": height})
    page.screenshot(path=path, animations="disabled")
    page.set_viewport_size({"width": SIZE[0], "height": SIZE[1]})
    with Image.open(path) as picture:
        few = picture.convert("RGB").quantize(128, dither=Image.Dither.NONE)
    few.save(path, optimize=True)
