"""Pro-forma invoices and receipts as PDFs. Heavy to import: PDF libraries."""

from __future__ import annotations

import io
from dataclasses import fields, is_dataclass, replace
from typing import Any

from flask import render_template
from flask_babel import force_locale, gettext

from cnn_offset.attestations.fonts import unprintable
from cnn_offset.attestations.render import draw
from cnn_offset.domain.paper import PaperData

NO_LETTER = "?"
"""Stands for a character that our fonts have no shape for; the paper says so."""


def draw_paper(data: PaperData) -> bytes:
    """Draw a paper in its language; the same data give the same bytes.

    Needs an application context, for the catalogue of messages.

    Raises:
        AttestationError: the library warned, so something would be missing.

    """
    shown = printable(data)
    with force_locale(data.locale):
        page = render_template("papers/paper.html", p=shown, replaced=shown != data)
        title = gettext("Receipt") if data.kind == "receipt" else gettext("Pro-forma invoice")
    return draw(page, {"title": f"{title} {data.number}", "author": shown.provider.name})


def printable(value: Any) -> Any:
    """Put ``NO_LETTER`` for what cannot be printed: nobody's name may stop a receipt."""
    if isinstance(value, str):
        out = io.StringIO()
        missing = set(unprintable(value))
        for sign in value:
            out.write(NO_LETTER if sign in missing else sign)
        return type(value)(out.getvalue())
    if isinstance(value, tuple):
        return tuple(printable(each) for each in value)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(
            value, **{each.name: printable(getattr(value, each.name)) for each in fields(value)}
        )
    return value
