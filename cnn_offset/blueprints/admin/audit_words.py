"""The audit trail in the reader's words: tables, statuses and what else an event may say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from functools import cache
from typing import Final

from flask_babel import gettext

from cnn_offset.blueprints.admin.order_words import why_text
from cnn_offset.domain.staff import OperatorRole, StaffRole
from cnn_offset.domain.text import N_
from cnn_offset.i18n import STATUS_LABELS, sort_key
from cnn_offset.models import Model

SUBJECTS: Final[Mapping[str, str]] = {
    "activity": N_("Project"),
    "application": N_("Application to offer units"),
    "attestation": N_("Attestation"),
    "bank_entry": N_("Bank entry"),
    "bank_statement": N_("Bank statement"),
    "cancellation": N_("Cancellation"),
    "checkout": N_("Checkout"),
    "chore": N_("Work that comes round"),
    "correction": N_("Correction of an attestation"),
    "cutover": N_("Move to another registry"),
    "difference": N_("Difference from a registry’s books"),
    "fee_consent": N_("Acceptance of fees"),
    "fee_schedule": N_("Fee schedule"),
    "fee_statement": N_("Statement of fees"),
    "historic_cancellation": N_("Cancellation on the earlier platform"),
    "import_run": N_("Import of a file"),
    "incoming_mail": N_("Mail that came in"),
    "invitation": N_("Invitation by mail"),
    "listing": N_("Project page"),
    "message": N_("Mail that went out"),
    "night": N_("Night of comparing with a registry"),
    "offer": N_("Offer"),
    "order": N_("Order"),
    "page_version": N_("Version of a page"),
    "payment": N_("Payment"),
    "payout_method": N_("Way to be paid"),
    "proposal": N_("Step for two persons"),
    "provider": N_("Provider"),
    "refund": N_("Refund"),
    "registry_account": N_("Account in a registry"),
    "replacement": N_("Question about other units"),
    "saying": N_("Sentence in operators’ words"),
    "support_case": N_("Support case"),
    "survey": N_("Survey"),
    "switch": N_("What operators set"),
    "tally": N_("Figures of a day"),
    "user": N_("Account of a person"),
    "webhook_delivery": N_("News from a processor"),
}
"""The tables that events are about; one that is not here is shown by its name."""
WHATS: Final[Mapping[str, str]] = {
    "accepted": N_("Accepted"),
    "account": N_("Account changed"),
    "announced": N_("Announced"),
    "answered": N_("Answered"),
    "asked for": N_("Asked for"),
    "audit trail exported": N_("Audit trail exported"),
    "begun": N_("Begun"),
    "change asked for": N_("Change asked for"),
    "change stopped": N_("Change stopped"),
    "changed": N_("Changed"),
    "closed": N_("Closed"),
    "compared": N_("Compared with the registry’s book"),
    "confirmed": N_("Address confirmed"),
    "contact seen": N_("Contact looked at"),
    "data erased": N_("Personal data erased"),
    "data exported": N_("Personal data exported"),
    "data looked at": N_("Personal data looked at"),
    "dealt with": N_("Dealt with"),
    "documents": N_("Documents added"),
    "factor_added": N_("Second factor added"),
    "factor_removed": N_("Second factor removed"),
    "handled": N_("Read"),
    "heard late": N_("Heard after its refusal"),
    "imported": N_("Imported"),
    "in progress": N_("In progress"),
    "kept open": N_("Kept open"),
    "pay sooner": N_("To be paid sooner"),
    "lapsed": N_("Lapsed"),
    "look again": N_("Looked at again"),
    "methods": N_("Payment methods"),
    "moved": N_("Moved to another registry"),
    "moving": N_("Registries between which units move"),
    "noted": N_("Noted"),
    "notice": N_("Notice on every page"),
    "open": N_("Open"),
    "opened": N_("Opened"),
    "order": N_("Order changed"),
    "order chosen": N_("Order chosen"),
    "orders": N_("New orders"),
    "part given back": N_("Part given back"),
    "particulars": N_("Particulars changed"),
    "picture added": N_("Picture added"),
    "placed": N_("Placed"),
    "pro_forma": N_("Pro-forma invoice issued"),
    "provider reminded": N_("Provider reminded"),
    "question removed": N_("Question removed"),
    "question saved": N_("Question kept"),
    "receipt": N_("Receipt issued"),
    "recovery_code_used": N_("Recovery code used"),
    "recovery_codes_renewed": N_("Recovery codes renewed"),
    "registered": N_("Account opened"),
    "registries": N_("Registries"),
    "removed": N_("Removed"),
    "resumed": N_("Resumed"),
    "retention": N_("Old data forgotten"),
    "sessions ended": N_("Sessions ended"),
    "stored": N_("Arrived"),
    "suspended": N_("Suspended"),
    "terms": N_("Terms changed"),
    "texts saved": N_("Texts saved"),
    "unmatched": N_("Belongs to nothing known here"),
    "withdrawn": N_("Withdrawn"),
}
"""What is no status; one that is not here is shown as kept."""
_WHYS: Final[Mapping[str, str]] = {
    "added": N_("added"),
    "at their wish": N_("at their own wish"),
    "by an operator": N_("by an operator"),
    "by mail": N_("by a link in a mail"),
    "erased": N_("personal data erased"),
    "invited": N_("invited"),
    "joined by invitation": N_("joined by invitation"),
    "never paid": N_("never paid"),
    "new password": N_("new password"),
    "own": N_("one’s own"),
    "removed from staff": N_("removed from a provider’s staff"),
    "removed from the desk": N_("removed from the desk"),
    "role": N_("other role"),
    "second factor reset": N_("second factor removed"),
    "ten years are over": N_("ten years are over"),
}
"""Why something happened, where it was no person who wrote it and no order it was about."""
_ROLES: Final = ("user", "invitation")


@cache
def _kinds(subject: str) -> tuple[type[StrEnum], ...]:
    """Return the enumerations that events about a table speak in."""
    if subject in _ROLES:
        return (StaffRole, OperatorRole)
    for mapper in Model.registry.mappers:
        moves = getattr(mapper.class_, "MOVES", None)
        if moves and mapper.local_table.name == subject:  # type: ignore[attr-defined]
            return (type(next(iter(moves))),)
    return ()


def subject_text(subject: str) -> str:
    """Return what a table is called."""
    return gettext(SUBJECTS[subject]) if subject in SUBJECTS else subject


def what_text(subject: str, what: str) -> str:
    """Return what something was or became, in words."""
    for kind in _kinds(subject):
        label = what in set(kind) and STATUS_LABELS.get(kind, {}).get(kind(what))
        if label:
            return gettext(label)
    return gettext(WHATS[what]) if what in WHATS else what


def reason_text(why: str) -> str:
    """Return why something happened: our own words in the reader's language, others' as said."""
    return gettext(_WHYS[why]) if why in _WHYS else why_text(why)


def subject_choices() -> list[tuple[str, str]]:
    """Return the tables and their names, in the order of the reader's language."""
    return _sorted((each, gettext(text)) for each, text in SUBJECTS.items())


def what_choices(chosen: str) -> list[tuple[str, str]]:
    """Return what events may say, with words; ``chosen`` among it even if nobody knows it."""
    texts = {what: gettext(text) for what, text in WHATS.items()}
    for subject in SUBJECTS:
        for kind in _kinds(subject):
            for each, label in STATUS_LABELS.get(kind, {}).items():
                texts.setdefault(str(each), gettext(label))
    if chosen:
        texts.setdefault(chosen, chosen)
    return _sorted(texts.items())


def _sorted(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    return sorted(pairs, key=lambda pair: sort_key(pair[1]))
