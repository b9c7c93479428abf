"""The attestation as a PDF. Heavy to import: PDF libraries."""

from __future__ import annotations

import base64
import io
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Final

import segno
from flask import render_template
from flask_babel import force_locale, gettext
from PIL import Image, ImageDraw, ImageFont
from reportlab import rl_config
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.platypus.tables import CellStyle
from xhtml2pdf import default
from xhtml2pdf.config.resources import ResourceAccessPolicy
from xhtml2pdf.document import pisaDocument

from cnn_offset.attestations import AttestationError
from cnn_offset.attestations.fonts import FACES, FOLDER, unprintable
from cnn_offset.domain.attestation import AttestationData
from cnn_offset.extensions import platform
from cnn_offset.sayings import ATTESTATION, speaking

POLICY: Final = ResourceAccessPolicy.server(FOLDER, allow_remote=False)
"""Fonts and pictures come from our own folder or stand in the page; nothing is fetched."""
# A tenth of the library's own style sheet, which costs a fifth of the time; the `display`
# rules are what it cannot do without.
_BASE_CSS: Final = """
html { font-family: AttestationSans; font-size: 9pt; line-height: 130%; color: #1e2721;
  margin: 0; padding: 0; display: inline; width: auto; height: auto; white-space: normal }
body, div, h1, h2, p, table, tr, th, td { display: block; margin: 0; padding: 0 }
tr, td { vertical-align: top; width: auto }
head, style { display: none }
"""
_drawing = threading.Lock()


@cache
def _register_fonts() -> None:
    """Make the faces known once in a process, not once in a document."""
    rl_config.invariant = 1  # the same data give the same bytes
    rl_config.useA85 = 0  # binary streams: a fifth smaller
    for name, file in FACES.items():
        pdfmetrics.registerFont(TTFont(name, str(FOLDER / file)))
    pdfmetrics.registerFontFamily(
        "AttestationSerif",
        normal="AttestationSerif",
        bold="AttestationSerif-Bold",
        italic="AttestationSerif-Italic",
        boldItalic="AttestationSerif-Bold",
    )
    pdfmetrics.registerFontFamily(
        "AttestationSans",
        normal="AttestationSans",
        bold="AttestationSans-Bold",
        italic="AttestationSans",
        boldItalic="AttestationSans-Bold",
    )
    # What a page's fonts begin with; else every file would name Helvetica, unembedded.
    rl_config.canvas_basefontname = CellStyle.fontname = "AttestationSans"
    default.DEFAULT_FONT.update(
        {"attestationserif": "AttestationSerif", "attestationsans": "AttestationSans"}
    )


def render(data: AttestationData) -> bytes:
    """Make the PDF, unsigned; a preview carries a watermark.

    Needs an application context, for the catalogue of messages.

    Raises:
        AttestationError: a character has no shape in the fonts, or the library warned.

    """
    missing = unprintable(data.texts)
    if missing:
        raise AttestationError(f"no letter for {', '.join(f'U+{ord(one):04X}' for one in missing)}")
    with force_locale(data.locale), speaking(ATTESTATION):
        page = render_template(
            "attestation/attestation.html",
            a=data,
            band=_band(),
            mark=_mark(),
            qr=_qr(data.check_url) if data.check_url else "",
            watermark=_watermark(gettext("PREVIEW")) if data.is_preview else "",
            name_size=_size(data.beneficiary, ((28, 27), (44, 21), (90, 16), (130, 13)), 11),
            reason_size=_size(data.reason, ((110, 13), (240, 11)), 9.5),
        )
        title = gettext("Attestation of voluntary cancellation")
    site = platform().settings.SITE_NAME or "cnn_offset"
    return draw(page, {"title": f"{title} {data.number}".strip(), "author": site})


def _size(text: str, steps: tuple[tuple[int, float], ...], least: float) -> float:
    """Choose a size of type, in points, by the length of ``text``."""
    return next((size for length, size in steps if len(text) <= length), least)


def draw(page: str, meta: dict[str, str]) -> bytes:
    """Draw a page in our own fonts; the same page gives the same bytes.

    Raises:
        AttestationError: the library warned, so something would be missing.

    """
    # The library keeps its state in module globals and renders one document at a time.
    with _drawing:
        _register_fonts()
        with _warnings() as said:
            out = io.BytesIO()
            done = pisaDocument(
                page,
                dest=out,
                default_css=_BASE_CSS,
                resource_policy=POLICY,
                context_meta=meta,
            )
    # A blocked resource or an unknown font is only a warning to the library; a paper
    # that lacks something must not be issued.
    if done.err or done.warn or said:
        raise AttestationError(f"the PDF is not as it should be: {said or done.log}")
    return out.getvalue()


@contextmanager
def _warnings() -> Iterator[list[str]]:
    """Collect what the PDF libraries log as a warning or worse."""
    said: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())

    handler = Keep(logging.WARNING)
    loggers = [logging.getLogger(name) for name in ("xhtml2pdf", "reportlab", "svglib")]
    for each in loggers:
        each.addHandler(handler)
    try:
        yield said
    finally:
        for each in loggers:
            each.removeHandler(handler)


def _qr(address: str) -> str:
    return segno.make(address, error="m", micro=False).png_data_uri(
        scale=6, border=0, dark="#1e2721"
    )


def _data_uri(picture: Image.Image) -> str:
    out = io.BytesIO()
    picture.save(out, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(out.getvalue()).decode()


@cache
def _band() -> str:
    """Draw the strip below the head: units in a row, the last ones cancelled."""
    step, side, rows, columns, solid = 24, 17, 2, 110, 78
    picture = Image.new(
        "RGB", (columns * step - (step - side), rows * step - (step - side)), "#fff"
    )
    pen = ImageDraw.Draw(picture)
    for row in range(rows):
        for column in range(columns):
            x, y = column * step, row * step
            # A staircase, not a cliff: the two rows end at different places.
            if column < solid - 3 * row:
                pen.rectangle((x, y, x + side - 1, y + side - 1), fill="#23573f")
            else:
                pen.rectangle((x, y, x + side - 1, y + side - 1), outline="#23573f", width=2)
    return _data_uri(picture)


@cache
def _mark() -> str:
    """Draw the site's mark: nine units, the last one cancelled."""
    picture = Image.new("RGB", (300, 300), "#fff")
    pen = ImageDraw.Draw(picture)
    for at in range(9):
        x, y = at % 3 * 104, at // 3 * 104
        box = (x, y, x + 80, y + 80)
        if at < 8:
            pen.rounded_rectangle(box, 12, fill="#23573f")
        else:
            pen.rounded_rectangle(box, 12, outline="#23573f", width=16)
    return _data_uri(picture)


@cache
def _watermark(word: str) -> str:
    """Draw ``word`` slantwise, light enough to read through."""
    font = ImageFont.truetype(str(FOLDER / FACES["AttestationSans-Bold"]), 260)
    left, top, right, bottom = (int(edge) for edge in font.getbbox(word))
    picture = Image.new("RGBA", (right - left + 40, bottom - top + 40), (255, 255, 255, 0))
    ImageDraw.Draw(picture).text((20 - left, 20 - top), word, (152, 72, 31, 46), font)
    return _data_uri(picture.rotate(52, expand=True, resample=Image.Resampling.BICUBIC))
