"""Reading what people write to us: of each kind only what it needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from flask_babel import gettext
from werkzeug.datastructures import MultiDict

from cnn_offset.domain.casework import CaseKind
from cnn_offset.domain.text import N_
from cnn_offset.services.cases import TEXT_LENGTH
from cnn_offset.typed import Typed

HINTS: Final[Mapping[CaseKind, str]] = {
    CaseKind.ORDER: N_("Something about an order that you have placed is wrong."),
    CaseKind.CERTIFICATE: N_(
        "You have paid, and the attestation has not come. We send it at once."
    ),
    CaseKind.PAYMENT: N_("You cannot pay, have paid twice, or have not been paid."),
    CaseKind.LISTING: N_("For providers: an offer or a project page does not come on line."),
    CaseKind.OTHER: N_("Whatever else you want to ask or tell."),
}
"""What each kind is for, in the order in which they are offered."""
NEEDS_ORDER: Final = (CaseKind.ORDER, CaseKind.CERTIFICATE)
ASKS_ORDER: Final = (*NEEDS_ORDER, CaseKind.PAYMENT)
OF_AN_ORDER: Final = (CaseKind.ORDER, CaseKind.CERTIFICATE, CaseKind.PAYMENT)


@dataclass(frozen=True)
class Wish:
    """What somebody wrote."""

    kind: CaseKind
    name: str
    email: str
    order: str
    text: str


def read_kind(text: str) -> CaseKind | None:
    """Read what it is about; None for anything else."""
    return CaseKind(text) if text in set(CaseKind) else None


def read_wish(
    form: MultiDict[str, str], kind: CaseKind, *, needs_text: bool, known: bool = False
) -> tuple[Typed, Wish | None]:
    """Read a form; no wish if anything is wrong with it.

    Args:
        form: as sent.
        kind: what it is about.
        needs_text: whether something must be written.
        known: the page knows order and address, so they are not asked for.

    """
    typed = Typed(form)
    name = order = email = ""
    if not known:
        name = typed.line("name")
        email = typed.email("email")
        if kind in ASKS_ORDER:
            missing = gettext("Please enter the order number; it is on every mail about the order.")
            order = typed.line("order", longest=40, missing=missing * (kind in NEEDS_ORDER))
    text = typed.lines(
        "text",
        longest=TEXT_LENGTH,
        missing=gettext("Please write what it is about.") if needs_text else "",
    )
    if typed.errors:
        return typed, None
    return typed, Wish(kind, name, email, order, text)
