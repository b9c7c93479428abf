"""A person at a browser, who looks closely at every page: language, width, axe, requests."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from axe_playwright_python.base import AXE_SCRIPT  # type: ignore[import-untyped]
from babel.messages.mofile import read_mo
from playwright.sync_api import (
    BrowserContext,
    ConsoleMessage,
    Error,
    Page,
    Request,
    Response,
    ViewportSize,
)

import cnn_offset
from tests.browser.site import Site

PHONE: ViewportSize = {"width": 320, "height": 640}
DESKTOP: ViewportSize = {"width": 1280, "height": 900}

# Words that no French or Spanish page has; names of people and organisations are chosen
# so that they hold none of them.
ENGLISH = re.compile(
    r"\b(the|and|of|to|by|with|from|your|you|this|is|are|basket|orders?|projects?|available|"
    r"provider|payment|beneficiary|reason|units|paid|reference|amount)\b",
    re.IGNORECASE,
)
_AXE = {
    "runOnly": {
        "type": "tag",
        "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa", "best-practice"],
    },
    "resultTypes": ["violations"],
}  # fmt: skip
# All that is read or spoken, but for what says to be in another language.
_TEXTS = """() => {
  const lang = document.documentElement.lang, found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT);
  for (let node = walker.currentNode; node; node = walker.nextNode()) {
    const element = node.nodeType === Node.TEXT_NODE ? node.parentElement : node;
    if (element.closest("[lang]").lang !== lang || element.closest("script, style")) continue;
    if (node.nodeType === Node.TEXT_NODE) found.push(node.data);
    else for (const name of ["alt", "aria-label", "title", "placeholder", "data-copied"])
      if (element.hasAttribute(name)) found.push(element.getAttribute(name));
  }
  return [document.title, ...found].map((each) => each.trim().replace(/\\s+/g, " ")).filter(Boolean);
}"""
# What makes two pages of one address different: the parts they are made of.
_SHAPE = """() => [...document.querySelectorAll("main *")].flatMap((each) => [each.id, ...each.classList])
  .filter((each) => each && !/\\d/.test(each))"""


def has_english(text: str) -> bool:
    """Whether words stand in ``text`` that only English has; addresses and names of what is
    filled in do not count.
    """
    return ENGLISH.search(re.sub(r"https?://\S+|\S+@\S+|%\(\w+\)[sd]", "", text)) is not None


@cache
def _messages(lang: str) -> dict[str, str]:
    path = Path(cnn_offset.__file__).parent / f"translations/{lang}/LC_MESSAGES/messages.mo"
    with path.open("rb") as file:
        return {
            str(message.id): str(message.string)
            for message in read_mo(file)
            if message.id and isinstance(message.id, str) and message.id != message.string
        }


class Visitor:
    """One tab. Whatever it walks to is examined; ``examined`` remembers what axe has seen."""

    def __init__(
        self,
        context: BrowserContext,
        site: Site,
        lang: str,
        examined: set[tuple[object, ...]],
        *,
        script: bool = True,
    ) -> None:
        self.site, self.lang, self.script = site, lang, script
        self.page: Page = context.new_page()
        self.is_phone = self.width == PHONE["width"]
        self._examined = examined
        self._status = 0
        self.troubles: list[str] = []
        """What no page may do or have; the test fails with it when it ends."""
        context.on("request", self._note_request)
        context.on("response", self._note_response)
        context.on("console", self._note_console)
        context.on("weberror", lambda error: self.troubles.append(f"script: {error.error}"))

    @property
    def width(self) -> int:
        """How wide the window is."""
        assert self.page.viewport_size is not None
        return self.page.viewport_size["width"]

    def _note_request(self, request: Request) -> None:
        if not request.url.startswith(("http://127.0.0.1:", "data:", "blob:")):
            self.troubles.append(f"a request left for {request.url}")

    def _note_response(self, response: Response) -> None:
        if response.status >= 500:
            self.troubles.append(f"{response.status} at {response.url}")
        if response.request.is_navigation_request():
            self._status = response.status

    def _note_console(self, message: ConsoleMessage) -> None:
        # A page that answers 404 or 422, as it should, is an error to the console as well.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self._note(f"console: {message.text}")

    def _note(self, trouble: str) -> None:
        trouble = f"{self.path}: {trouble}"
        if trouble not in self.troubles:
            self.troubles.append(trouble)

    def go(self, path: str, status: int = 200) -> None:
        """Open an address of the shop, below its language, or a whole one."""
        self._status = 0
        self.page.goto(path if "://" in path else f"{self.site.url}/{self.lang}{path}")
        self.look(status)

    def press(self, selector: str, status: int = 200, *, text: str = "") -> None:
        """Click what leads to another page."""
        found = self.page.locator(selector)
        found = (found.filter(has_text=text) if text else found).locator("visible=true")
        with self.page.expect_navigation():
            found.first.click()
        self.look(status)

    def reload(self) -> None:
        """Load the page again."""
        self.page.reload()
        self.look()

    def back(self) -> None:
        """Press the browser's back button."""
        self.page.go_back()
        self.look()

    @property
    def path(self) -> str:
        """The address within the shop, without the language."""
        return self.page.url.removeprefix(self.site.url)[3:].partition("?")[0].partition("#")[0]

    @property
    def is_in_sandbox(self) -> bool:
        """Whether this is a page of the simulated outside."""
        return self.page.url.startswith(self.site.sandbox)

    def says(self, selector: str) -> str:
        """Return the text of the first match, without blanks at its ends."""
        return self.page.locator(selector).first.inner_text().strip()

    def has(self, selector: str) -> bool:
        """Whether something matches on the page."""
        return self.page.locator(selector).count() > 0

    def look(self, status: int = 200) -> None:
        """Examine the page that is shown; what is wrong with it is kept in ``troubles``.

        Raises:
            AssertionError: it is another page than expected.

        """
        page = self.page
        page.wait_for_load_state()
        self._picture()
        if self._status:  # A page out of the back/forward cache brings none.
            assert self._status == status, f"{self._status} at {page.url}"
        if self.is_in_sandbox:
            assert "SANDBOX" in page.inner_text("body").upper()
            return
        language = page.get_attribute("html", "lang")
        assert page.url.startswith(f"{self.site.url}/{language}/"), page.url
        assert language == self.lang
        self._fits()
        self._is_translated()
        if self.script:
            self._axe()

    def _fits(self) -> None:
        wide = self.page.evaluate("document.documentElement.scrollWidth")
        if wide <= self.width:
            return
        culprits = self.page.evaluate(
            """() => [...document.querySelectorAll("body *")].filter((each) =>
              each.getBoundingClientRect().right > innerWidth + 1).map((each) =>
              each.outerHTML.slice(0, 120)).slice(0, 5)"""
        )
        self._note(f"{wide} px wide at {self.width}: {culprits}")

    def _is_translated(self) -> None:
        if self.lang == "en":
            return
        untranslated = _messages(self.lang)
        for text in self.page.evaluate(_TEXTS):
            if text in untranslated or has_english(text):
                self._note(f"English: {text!r}")

    def _axe(self) -> None:
        """Run axe: narrow and light in each language, wide and dark once; each page once."""
        path = re.sub(r"[\w-]{20,}|\d+|(?<=/projects/)[\w-]+", ":", self.path)
        shape = (path, frozenset(self.page.evaluate(_SHAPE)))
        for size, scheme, key in (
            (PHONE, "light", (*shape, self.lang)),
            (DESKTOP, "dark", shape),
        ):
            if key in self._examined:
                continue
            with self._as_seen(size, scheme):
                self._fits()
                found = self._violations()
                self._picture(scheme)
            if found:
                self._note(f"{size['width']} px, {scheme}: {found}")
            self._examined.add(key)

    def _violations(self) -> Any:
        for last in (False, True):
            try:
                self.page.evaluate(AXE_SCRIPT)
                return [
                    (each["id"], [(node["target"], node["html"][:200]) for node in each["nodes"]])
                    for each in self.page.evaluate("(o) => axe.run(o)", _AXE)["violations"]
                ]
            except Error:
                # An order page that waits looks again by itself, perhaps just now.
                if last:
                    raise
                self.page.wait_for_load_state()
        return []

    @contextmanager
    def _as_seen(self, size: Any, scheme: Any) -> Iterator[None]:
        before = self.page.viewport_size
        assert before is not None
        self.page.set_viewport_size(size)
        self.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        yield
        self.page.set_viewport_size(before)
        self.page.emulate_media(color_scheme="light", reduced_motion="reduce")

    def _picture(self, name: str = "seen") -> None:
        """Keep a picture of the page if BROWSER_PICTURES names a folder."""
        folder = os.environ.get("BROWSER_PICTURES")
        if folder:
            path = re.sub(r"[^\w-]+", "_", re.sub(r"[\w-]{30,}", "", self.path)) or "_"
            at = len(list(Path(folder).glob("*.png")))
            self.page.screenshot(
                path=f"{folder}/{at:04d}-{self.lang}-{self.width}-{name}{path}.png", full_page=True
            )
