"""Reading what people type into forms: values to keep, and one sentence for each fault."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import date

from flask_babel import gettext
from werkzeug.datastructures import MultiDict

from cnn_offset.domain.text import (
    NAME_LENGTH,
    UnreadableTextError,
    clean_line,
    clean_lines,
    clean_url,
)
from cnn_offset.i18n import language, number
from cnn_offset.services import ServiceError
from cnn_offset.services.ordering import clean_email


class Typed:
    """A form as it was sent: ``values`` cleaned, or as typed where ``errors`` has a sentence."""

    def __init__(self, form: MultiDict[str, str]) -> None:
        self._form = form
        self.values: dict[str, str] = {}
        self.errors: dict[str, str] = {}

    def line(self, name: str, *, longest: int = NAME_LENGTH, missing: str = "") -> str:
        """Read one line. ``missing`` is said if it is empty."""
        return self._text(name, clean_line, longest, missing)

    def lines(self, name: str, *, longest: int = 2000, missing: str = "") -> str:
        """Read several lines. ``missing`` is said if they are empty."""
        return self._text(name, clean_lines, longest, missing)

    def _text(self, name: str, clean: Callable[[str], str], longest: int, missing: str) -> str:
        typed = self.values[name] = self._form.get(name, "").strip()
        try:
            text = clean(typed)
        except UnreadableTextError as error:
            self.errors[name] = gettext(
                "There is an invisible sign in this text (%(sign)s), such as a direction mark or "
                "part of an emoji. Please type the text afresh.",
                sign=str(error),
            )
            return typed
        if len(text) > longest:
            self.errors[name] = gettext(
                "Please write at most %(n)s letters; these are %(many)s.",
                n=number(longest, language()),
                many=number(len(text), language()),
            )
        elif missing and not text:
            self.errors[name] = missing
        else:
            self.values[name] = text
        return text

    def email(self, name: str) -> str:
        """Read the address of a mailbox."""
        typed = self.values[name] = self._form.get(name, "").strip()
        try:
            self.values[name] = clean_email(typed)
        except ServiceError as error:
            self.errors[name] = gettext(error.message, **error.values)
        return self.values[name]

    def web_address(self, name: str) -> str:
        """Read the address of a page, which may be left out."""
        typed = self.values[name] = self._form.get(name, "").strip()
        if typed and "://" not in typed:
            typed = f"https://{typed}"
        try:
            self.values[name] = typed and clean_url(typed)
        except ValueError:
            self.errors[name] = gettext(
                "Please enter the address of a page, such as https://www.example.org."
            )
        return self.values[name]

    def choice(self, name: str, allowed: Collection[str], missing: str) -> str:
        """Read one of ``allowed``; ``missing`` is said otherwise."""
        typed = self.values[name] = self._form.get(name, "").strip()
        if typed not in allowed:
            self.errors[name] = missing
        return typed

    def day(self, name: str) -> date | None:
        """Read a day."""
        typed = self.values[name] = self._form.get(name, "").strip()
        try:
            return date.fromisoformat(typed)
        except ValueError:
            self.errors[name] = gettext("Please enter a day.")
            return None
