"""An order's history in the reader's words: mails, facts, reasons, and who did it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from flask_babel import gettext

from cnn_offset.domain.payment import FactKind, FactStatus, Verdict
from cnn_offset.domain.text import N_
from cnn_offset.extensions import platform
from cnn_offset.i18n import STATUS_LABELS
from cnn_offset.models import PaymentFact
from cnn_offset.services import cancelling

MAILS: Final[Mapping[str, str]] = {
    "attestation": N_("Attestation"),
    "attestation_corrected": N_("Corrected attestation"),
    "bank_instructions": N_("How to pay by bank transfer"),
    "bank_order_placed": N_("Order by bank transfer, to the provider"),
    "case_answer": N_("Answer in a case"),
    "case_answer_other": N_("Answer in a case, to the other side"),
    "case_claim": N_("Claim begun"),
    "case_claim_other": N_("Claim begun, to the other side"),
    "case_closed": N_("Case closed"),
    "case_files_left_out": N_("Files of a case left out"),
    "case_opened": N_("Case opened"),
    "correction_refused": N_("Correction refused"),
    "ending_reminder": N_("Reminder to pay, before the registry closes"),
    "entry_to_second": N_("Money to confirm by a second person"),
    "lost_links": N_("Lost links"),
    "money_too_late": N_("Paid too late, to the provider"),
    "order_in_progress": N_("Order in progress"),
    "order_in_review": N_("Order in review"),
    "order_lapsed": N_("Order lapsed"),
    "order_paid": N_("Order paid, to the provider"),
    "order_placed": N_("Order placed"),
    "order_refunded": N_("Money given back"),
    "order_stands": N_("Where the order stands"),
    "order_undealt": N_("Order waits, to the provider"),
    "order_withdrawn": N_("Order withdrawn"),
    "paid_too_late": N_("Paid too late"),
    "part_given_back": N_("Part of the money goes back"),
    "part_refunded": N_("Part of the money given back"),
    "part_to_give_back": N_("Part of the money to give back, to the provider"),
    "pay_sooner": N_("To be paid sooner"),
    "payment_received": N_("Payment received"),
    "payment_reminder": N_("Reminder to pay"),
    "refund_due": N_("Money goes back"),
    "refund_to_make": N_("Refund to make, to the provider"),
    "replacement_asked": N_("Question about other units"),
    "replacement_lapsed": N_("Question about other units closed"),
    "units_replaced": N_("Units replaced, to the provider"),
}
"""The mails about an order; one that is not here is shown by its name."""
_FACTS: Final[Mapping[FactKind, str]] = {
    FactKind.PAYMENT: N_("Payment"),
    FactKind.REFUND: N_("Refund"),
    FactKind.DISPUTE: N_("Dispute"),
}
_FACT_STATUSES: Final[Mapping[FactStatus, str]] = {
    FactStatus.OPEN: N_("open"),
    FactStatus.PENDING: N_("on its way"),
    FactStatus.ABANDONED: N_("can no longer be paid"),
    FactStatus.FAILED: N_("failed"),
    FactStatus.DONE: N_("done"),
    FactStatus.WON: N_("won by the provider"),
    FactStatus.LOST: N_("lost by the provider"),
    FactStatus.UNKNOWN: N_("said in a word we do not know"),
}
_ACTORS: Final[Mapping[str, str]] = {
    "bank statement": N_("a bank statement"),
    "clock": N_("the clock"),
    "command line": N_("the command line"),
    "core": N_("the platform"),
    "mail server": N_("a mail server"),
    "outbox": N_("the outbox"),
    "purchaser": N_("the purchaser"),
    "visitor": N_("a visitor"),
}
_WHYS: Final[Mapping[str, str]] = {
    "a part": N_("a part of an entry"),
    "all cancelled": N_("every unit is cancelled"),
    "all money went back": N_("all money went back"),
    "asked for": N_("asked for"),
    "at the purchaser’s wish": N_("at the purchaser’s wish"),
    "by the provider": N_("by the provider"),
    "confirmed": N_("confirmed by the registry"),
    "handed over": N_("handed over to the mail server"),
    "known to the registry": N_("the registry knew it already"),
    "looked at again": N_("looked at again"),
    "never paid": N_("it was never paid"),
    "not answered in time": N_("not answered in time"),
    "not delivered": N_("it came back undelivered"),
    "not paid in time": N_("not paid in time"),
    "opened": N_("opened with the processor"),
    "paid after it ended, units not held": N_("paid after it had ended; its units were gone"),
    "paid exactly": N_("paid exactly"),
    "paid late, units still there": N_("paid late, and the units were still there"),
    "paid when its registry cancelled nothing any more": N_(
        "paid when its registry cancelled nothing any more"
    ),
    "pays": N_("the money pays the order"),
    "pays_late": N_("the money pays the order, late"),
    "placed": N_("placed"),
    "proposed": N_("a second person must agree"),
    "reported": N_("reported by the processor"),
    "review": N_("a person must look"),
    "seen on the bank statement": N_("seen on the bank statement"),
    "sent back": N_("sent back by the second person"),
    "sent, and the registry does not know it yet": N_(
        "it was sent, and the registry does not know it yet"
    ),
    "surplus": N_("the order had its money already"),
    "back": N_("money went back"),
    "the purchaser agreed": N_("the purchaser agreed"),
    "the purchaser declined": N_("the purchaser declined"),
    "the registry says now: confirmed": N_("the registry says now that it did it"),
    "too_late": N_("the registry cancels nothing any more"),
    "typed by hand": N_("typed by hand"),
}
_OURS: Final = (cancelling.ENDED, cancelling.NEVER_SAID)
"""What we say of a cancellation where a registry has ended."""
_PAYMENT: Final = re.compile(r"payment (\S+): (\w+)(, units not held)?", re.ASCII)
_CANCELLATION: Final = re.compile(r"cancellation (\S+): (.+)", re.ASCII | re.DOTALL)
_SEND: Final = re.compile(r"send (\d+)", re.ASCII)
_REPEAT: Final = re.compile(r"refused on repeat: (.+)", re.DOTALL)


def mail_text(kind: str) -> str:
    """Return what a kind of mail is called."""
    return gettext(MAILS[kind]) if kind in MAILS else kind


def fact_text(fact: PaymentFact) -> str:
    """Return what a fact is about and how far it got."""
    kind, status = gettext(_FACTS[fact.kind]), gettext(_FACT_STATUSES[fact.status])
    return gettext("%(what)s: %(how)s", what=kind, how=status)


def actor_text(actor: str) -> str:
    """Return who did something: us in words, plug-ins by their title, people by their address."""
    if actor in _ACTORS:
        return gettext(_ACTORS[actor])
    here = platform()
    for known in (here.method_titles, here.registry_titles):
        if actor in known:
            return gettext(known[actor])
    return actor


def why_text(why: str) -> str:
    """Return why something happened: our own words in the reader's language, others' as said."""
    if why in _WHYS:
        return gettext(_WHYS[why])
    if (found := _PAYMENT.fullmatch(why)) and found[2] in set(Verdict):
        verdict = gettext(STATUS_LABELS[Verdict][Verdict(found[2])])
        if found[3]:
            return gettext(
                "payment %(key)s: %(verdict)s; the units were gone", key=found[1], verdict=verdict
            )
        return gettext("payment %(key)s: %(verdict)s", key=found[1], verdict=verdict)
    if why in _OURS:
        return gettext(why)
    if found := _CANCELLATION.fullmatch(why):
        if found[2] in _OURS:
            return gettext("cancellation %(key)s: %(why)s", key=found[1], why=gettext(found[2]))
        return gettext(
            "cancellation %(key)s, in the registry’s words: %(words)s", key=found[1], words=found[2]
        )
    if found := _SEND.fullmatch(why):
        return gettext("sent for time no. %(n)s", n=found[1])
    if found := _REPEAT.fullmatch(why):
        return gettext("refused when sent again: %(words)s", words=found[1])
    return why
