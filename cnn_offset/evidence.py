"""The evidence of a case as a PDF: for operators, and for whoever decides a claim.

Heavy to import: PDF libraries.
"""

from __future__ import annotations

from datetime import datetime

from flask import render_template

from cnn_offset.attestations.fonts import unprintable
from cnn_offset.attestations.render import draw
from cnn_offset.extensions import platform
from cnn_offset.papers import NO_LETTER
from cnn_offset.services.evidence import Evidence


def draw_evidence(pack: Evidence, *, now: datetime) -> bytes:
    """Draw all that is known of a case, in the reader's language.

    Letters that our fonts do not have are replaced, and the paper says so.

    Raises:
        AttestationError: the library warned, so something would be missing.

    """
    here = platform()
    page = render_template(
        "papers/evidence.html",
        p=pack,
        now=now,
        methods=here.method_titles,
        registries=here.registry_titles,
    )
    missing = set(unprintable(page)) - set("\n\r\t")
    shown = "".join(NO_LETTER if sign in missing else sign for sign in page)
    return draw(
        shown,
        {"title": f"Case {pack.case.code}", "author": here.settings.SITE_NAME or "cnn_offset"},
    )
