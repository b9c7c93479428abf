"""Language in the path, and numbers, money, units and dates in the reader's form."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from datetime import date, datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final

from babel import Locale
from babel.dates import format_date, format_datetime
from babel.numbers import format_decimal
from flask import Flask, current_app, g, has_request_context, request, url_for
from flask_babel import get_locale, get_translations, gettext
from jinja2 import pass_context
from jinja2.runtime import Context
from werkzeug.exceptions import HTTPException

from cnn_offset import sayings
from cnn_offset.domain.casework import CaseKind
from cnn_offset.domain.money import Money
from cnn_offset.domain.payment import Verdict
from cnn_offset.domain.staff import OperatorRole, StaffRole
from cnn_offset.domain.status import (
    ApplicationStatus,
    AttestationStatus,
    BankEntryStatus,
    CancellationStatus,
    CaseStatus,
    CorrectionStatus,
    CutoverStatus,
    DifferenceStatus,
    FeeStatementStatus,
    ListingStatus,
    MessageStatus,
    OrderStatus,
    PageStatus,
    PaymentStatus,
    PayoutStatus,
    ProposalStatus,
    RefundStatus,
    ReplacementStatus,
    SurveyStatus,
)
from cnn_offset.domain.text import N_
from cnn_offset.domain.unit_rules import UNIT_RULES
from cnn_offset.domain.units import UnitType
from cnn_offset.models.banking import Finding

LANGUAGES: Final[Mapping[str, str]] = {"en": "English", "fr": "Français", "es": "Español"}
# UN style writes day, month, year; Babel's plain "en" is American.
_FORMATS: Final = {"en": Locale("en", "GB"), "fr": Locale("fr"), "es": Locale("es")}

UNIT_LABELS: Final[Mapping[UnitType, str]] = {
    kind: rules.label for kind, rules in UNIT_RULES.items()
}

STATUS_LABELS: Final[Mapping[type[StrEnum], Mapping[str, str]]] = {
    OrderStatus: {
        OrderStatus.PLACED: N_("Waiting for payment"),
        OrderStatus.PAID: N_("Paid"),
        OrderStatus.FULFILLED: N_("Fulfilled"),
        OrderStatus.LAPSED: N_("Lapsed"),
        OrderStatus.WITHDRAWN: N_("Withdrawn"),
        OrderStatus.IN_REVIEW: N_("In review"),
        OrderStatus.REFUND_DUE: N_("Refund due"),
        OrderStatus.REFUNDED: N_("Refunded"),
    },
    PaymentStatus: {
        PaymentStatus.CREATED: N_("Being opened"),
        PaymentStatus.AWAITING_PAYER: N_("Waiting for the payer"),
        PaymentStatus.PROCESSING: N_("Being processed"),
        PaymentStatus.SUCCEEDED: N_("Succeeded"),
        PaymentStatus.FAILED: N_("Failed"),
        PaymentStatus.ABANDONED: N_("Abandoned"),
        PaymentStatus.IN_REVIEW: N_("In review"),
        PaymentStatus.REFUNDED: N_("Refunded"),
        PaymentStatus.DISPUTED: N_("Disputed"),
    },
    CancellationStatus: {
        CancellationStatus.QUEUED: N_("Queued"),
        CancellationStatus.SUBMITTED: N_("Sent to the registry"),
        CancellationStatus.UNKNOWN: N_("No answer yet"),
        CancellationStatus.CONFIRMED: N_("Confirmed by the registry"),
        CancellationStatus.REJECTED: N_("Refused by the registry"),
        CancellationStatus.MISMATCHED: N_("Not as ordered"),
        CancellationStatus.GIVEN_UP: N_("Given up"),
    },
    ListingStatus: {
        ListingStatus.DRAFT: N_("Draft"),
        ListingStatus.SUBMITTED: N_("Waits for review"),
        ListingStatus.APPROVED: N_("Public"),
        ListingStatus.REFUSED: N_("To be changed"),
        ListingStatus.REPLACED: N_("Was public"),
    },
    BankEntryStatus: {
        BankEntryStatus.WAITING: N_("To decide"),
        BankEntryStatus.SECONDED: N_("Second person needed"),
        BankEntryStatus.RECORDED: N_("Recorded"),
        BankEntryStatus.SPLIT: N_("Divided"),
        BankEntryStatus.DISMISSED: N_("Set aside"),
    },
    Finding: {
        Finding.UNKNOWN: N_("No order named"),
        Finding.EXACT: N_("Exactly what was due"),
        Finding.SHORT: N_("Too little"),
        Finding.OVER: N_("Too much"),
        Finding.LATE: N_("Exact, but late"),
        Finding.PAID_ALREADY: N_("Order paid already"),
        Finding.OTHER_CURRENCY: N_("Other currency"),
        Finding.SEVERAL: N_("Several orders named"),
        Finding.RETURNED: N_("Money that went back"),
        Finding.OUTGOING: N_("Money that went out"),
    },
    PageStatus: {
        PageStatus.DRAFT: N_("Draft"),
        PageStatus.PUBLISHED: N_("Published"),
        PageStatus.REPLACED: N_("Was published"),
        PageStatus.DISCARDED: N_("Discarded"),
    },
    PayoutStatus: {
        PayoutStatus.STARTED: N_("Not finished"),
        PayoutStatus.LIMITED: N_("Cannot take money now"),
        PayoutStatus.READY: N_("Ready"),
        PayoutStatus.REVOKED: N_("Ended"),
    },
    MessageStatus: {
        MessageStatus.QUEUED: N_("Queued"),
        MessageStatus.SENT: N_("Sent"),
        MessageStatus.FAILED: N_("Failed"),
    },
    ApplicationStatus: {
        ApplicationStatus.SUBMITTED: N_("Waits for us"),
        ApplicationStatus.QUESTIONED: N_("Waits for an answer"),
        ApplicationStatus.APPROVED: N_("Approved"),
        ApplicationStatus.REFUSED: N_("Refused"),
        ApplicationStatus.WITHDRAWN: N_("Withdrawn"),
    },
    CaseStatus: {
        CaseStatus.OPEN: N_("With us"),
        CaseStatus.WAITING: N_("With the asker"),
        CaseStatus.ESCALATED: N_("Claim under the terms"),
        CaseStatus.CLOSED: N_("Settled"),
    },
    CaseKind: {
        CaseKind.ORDER: N_("Problem with an order"),
        CaseKind.CERTIFICATE: N_("Attestation not received"),
        CaseKind.LISTING: N_("Problem with a listing"),
        CaseKind.PAYMENT: N_("Problem with a payment"),
        CaseKind.OTHER: N_("Something else"),
    },
    AttestationStatus: {
        AttestationStatus.QUEUED: N_("Queued"),
        AttestationStatus.ISSUED: N_("Issued"),
    },
    ProposalStatus: {
        ProposalStatus.WAITING: N_("Waits for a second operator"),
        ProposalStatus.APPROVED: N_("Approved"),
        ProposalStatus.REFUSED: N_("Refused"),
        ProposalStatus.WITHDRAWN: N_("Withdrawn"),
    },
    FeeStatementStatus: {
        FeeStatementStatus.OPEN: N_("To be settled"),
        FeeStatementStatus.SETTLED: N_("Settled in full"),
    },
    DifferenceStatus: {
        DifferenceStatus.OPEN: N_("Open"),
        DifferenceStatus.SETTLED: N_("Settled"),
        DifferenceStatus.GONE: N_("Ended by itself"),
    },
    SurveyStatus: {
        SurveyStatus.DRAFT: N_("Draft"),
        SurveyStatus.OPEN: N_("Open"),
        SurveyStatus.CLOSED: N_("Closed"),
    },
    CorrectionStatus: {
        CorrectionStatus.ASKED: N_("Asked for"),
        CorrectionStatus.CORRECTED: N_("Corrected"),
        CorrectionStatus.REFUSED: N_("Refused"),
    },
    CutoverStatus: {
        CutoverStatus.FROZEN: N_("New orders paused"),
        CutoverStatus.DRAINED: N_("Nothing in flight"),
        CutoverStatus.MATCHED: N_("Every block matched"),
        CutoverStatus.MOVED: N_("Everything moved"),
        CutoverStatus.VERIFIED: N_("Sums compared"),
        CutoverStatus.THAWED: N_("Done, orders taken again"),
        CutoverStatus.GIVEN_UP: N_("Given up, nothing moved"),
    },
    RefundStatus: {
        RefundStatus.QUEUED: N_("On its way to the processor"),
        RefundStatus.DONE: N_("Taken by the processor"),
        RefundStatus.REFUSED: N_("Refused by the processor"),
    },
    ReplacementStatus: {
        ReplacementStatus.ASKED: N_("Purchaser asked"),
        ReplacementStatus.AGREED: N_("Agreed"),
        ReplacementStatus.DECLINED: N_("Declined"),
        ReplacementStatus.LAPSED: N_("Not answered in time"),
        ReplacementStatus.WITHDRAWN: N_("Taken back"),
    },
    StaffRole: {
        StaffRole.OWNER: N_("Owner"),
        StaffRole.SALES: N_("Sales"),
        StaffRole.ACCOUNTS: N_("Accounts"),
    },
    OperatorRole: {
        OperatorRole.HEAD: N_("Head of the desk"),
        OperatorRole.SUPPORT: N_("Purchasers’ support"),
        OperatorRole.LISTING: N_("Providers and projects"),
        OperatorRole.FINANCE: N_("Money and fees"),
        OperatorRole.EDITOR: N_("Writer of texts"),
        OperatorRole.AUDITOR: N_("Auditing"),
    },
    Verdict: {
        Verdict.NOTHING_YET: N_("Nothing yet"),
        Verdict.FAILED: N_("Nothing came"),
        Verdict.EXACT: N_("Exactly what was due"),
        Verdict.SHORT: N_("Too little"),
        Verdict.OVER: N_("Too much"),
        Verdict.WRONG_CURRENCY: N_("Wrong currency"),
        Verdict.WRONG_PAYEE: N_("Wrong payee"),
        Verdict.UNCLEAR: N_("Unclear"),
    },
}


def status_text(status: StrEnum) -> str:
    """Return the word for a status, a verdict or a role in the reader's language."""
    return str(gettext(STATUS_LABELS[type(status)][status]))


def select_locale() -> str:
    """Return the language of the path; in a job the forced one holds instead."""
    if has_request_context():
        return str(g.get("lang", "en"))
    return "en"


def language() -> str:
    """Return the reader's language: ``en``, ``fr`` or ``es``."""
    locale = get_locale()
    return locale.language if locale else "en"


# A page has a hundred messages, and Flask-Babel looks for the catalogue at each.
@lru_cache(maxsize=20_000)
def _message(text: str, lang: str) -> str:
    return str(get_translations().ugettext(text))


@lru_cache(maxsize=20_000)
def _plural(one: str, many: str, n: int, lang: str) -> str:
    return str(get_translations().ungettext(one, many, n))


def preferred_language() -> str:
    """Return the first of our languages that the browser asks for, whatever its country."""
    for tag, _quality in request.accept_languages:
        lang = tag.partition("-")[0].lower()
        if lang in LANGUAGES:
            return lang
    return "en"


def localised(texts: Mapping[str, str], lang: str = "") -> str:
    """Return the text in the reader's language, else the first there is."""
    lang = lang or language()
    return texts.get(lang) or next((text for text in texts.values() if text), "")


# Formatting is the largest avoidable cost of a page (performance-facts.md): remember it.
@lru_cache(maxsize=20_000)
def number(value: int, lang: str) -> str:
    """Write a whole number in the form of ``lang``."""
    return format_decimal(value, locale=_FORMATS[lang])


_GROUPED: Final = {
    lang: re.compile(rf"[0-9]{{1,3}}(?:[{sign}\s][0-9]{{3}}){{1,3}}|[0-9]{{1,12}}")
    for lang, sign in {"en": ",", "fr": "", "es": "."}.items()
}


def read_number(text: str, lang: str) -> int:
    """Read a whole number as people write it in ``lang``: ``1,250``, ``1 250`` or ``1.250``.

    Raises:
        ValueError: a sign, a fraction, more than twelve digits or no number at all.

    """
    if not _GROUPED[lang].fullmatch(text.strip()):
        raise ValueError(text)
    return int(re.sub(r"[^0-9]", "", text))


@lru_cache(maxsize=20_000)
def money_text(minor: int, currency: str, lang: str) -> str:
    """Write an amount with its ISO code first in English, last otherwise."""
    exact = Money(minor, currency).amount
    places = -int(exact.as_tuple().exponent)
    pattern = "#,##0" + ("." + "0" * places if places else "")
    figure = format_decimal(exact, pattern, locale=_FORMATS[lang])
    return f"{currency}\u00a0{figure}" if lang == "en" else f"{figure}\u00a0{currency}"


@lru_cache(maxsize=20_000)
def day_text(day: date, lang: str) -> str:
    """Write a day with the month in words."""
    text: str = format_date(day, "long", locale=_FORMATS[lang])
    # French writes "1er janvier"; Babel does not know.
    return text.replace("1 ", "1er ", 1) if lang == "fr" and day.day == 1 else text


@lru_cache(maxsize=1_000)
def month_text(day: date, lang: str) -> str:
    """Write the month that ``day`` lies in, with its year."""
    text: str = format_date(day, "LLLL yyyy", locale=_FORMATS[lang])
    return text


@lru_cache(maxsize=20_000)
def moment_text(moment: datetime, lang: str) -> str:
    """Write a moment to the minute, in UTC, saying so."""
    day = day_text(moment.date(), lang)
    return f"{day}, {format_datetime(moment, 'HH:mm', locale=_FORMATS[lang])}\u00a0UTC"


@lru_cache(maxsize=2_000)
def country_name(code: str, lang: str) -> str:
    """Return the name of a country in ``lang``, or the code."""
    name: str = _FORMATS[lang].territories.get(code, code)
    return name


@lru_cache(maxsize=8)
def countries(lang: str) -> list[tuple[str, str]]:
    """Return (ISO 3166 code, name) of all countries, in the order of ``lang``."""
    names = [
        (code, name)
        for code, name in _FORMATS[lang].territories.items()
        if len(code) == 2
        and code.isalpha()
        and code not in {"EU", "EZ", "UN", "ZZ", "XA", "XB", "QO"}
    ]
    return sorted(names, key=lambda pair: sort_key(pair[1]))


def sort_key(name: str) -> str:
    """Return what names are ordered by: letters without accents, case set aside."""
    return "".join(sign for sign in unicodedata.normalize("NFD", name.casefold()) if sign.isalnum())


def lang_urls() -> list[tuple[str, str, str]]:
    """Return (code, own name, address of this page) for each language."""
    endpoint, arguments = _page_here()
    arguments.pop("lang", None)
    return [
        (code, name, url_for(endpoint, lang=code, **arguments)) for code, name in LANGUAGES.items()
    ]


def _page_here() -> tuple[str, dict[str, Any]]:
    """Return endpoint and arguments of the page shown, else of the front page."""
    if not request.endpoint or "lang" not in g:
        return "home.index", {}
    query = request.args.to_dict(flat=False)
    if request.method == "GET":
        return request.endpoint, {**(request.view_args or {}), **query}
    # A form that came back is shown at the address it was sent to.
    adapter = current_app.create_url_adapter(request)
    try:
        endpoint, arguments = adapter.match(method="GET") if adapter else ("home.index", {})
    except HTTPException:
        return "home.index", {}
    return str(endpoint), {**arguments, **query}


def init_app(app: Flask) -> None:
    """Take the language out of every path and put it into every address made."""

    @app.url_value_preprocessor
    def _take(endpoint: str | None, values: dict[str, Any] | None) -> None:
        if values and "lang" in values:
            g.lang = values.pop("lang")

    @app.url_defaults
    def _put(endpoint: str, values: dict[str, Any]) -> None:
        if "lang" not in values and app.url_map.is_endpoint_expecting(endpoint, "lang"):
            values["lang"] = g.get("lang", "en")

    app.jinja_env.globals.update(
        lang_urls=lang_urls,
        LANGUAGES=LANGUAGES,
        UNIT_LABELS=UNIT_LABELS,
        UNIT_RULES=UNIT_RULES,
    )
    app.jinja_env.filters.update(
        localised=localised,
        number=lambda value: number(value, language()),
        money=lambda value: money_text(value.minor, value.currency, language()),
        day=lambda value: day_text(value, language()),
        moment=lambda value: moment_text(value, language()),
        country=lambda value: country_name(value, language()),
        status=status_text,
        unit=lambda value: gettext(UNIT_LABELS[UnitType(value)]),
    )

    # Operators' words are not remembered: they hold in some places only (sayings.py).
    @pass_context
    def _said(context: Context, text: str) -> str:
        if not sayings.is_speaking():
            return _message(text, language())
        words: str = get_translations().said_in_template(text, escaped=context.eval_ctx.autoescape)
        return words

    @pass_context
    def _counted(context: Context, one: str, many: str, n: int) -> str:
        if not sayings.is_speaking():
            return _plural(one, many, n, language())
        words: str = get_translations().counted_in_template(
            one, many, n, escaped=context.eval_ctx.autoescape
        )
        return words

    app.jinja_env.install_gettext_callables(  # type: ignore[attr-defined]
        gettext=_said, ngettext=_counted, newstyle=True
    )

    @app.context_processor
    def _lang() -> dict[str, Any]:
        return {"lang": language()}
