"""Reading what purchasers type: values to keep, and one sentence for each fault."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from flask_babel import force_locale, gettext
from werkzeug.datastructures import MultiDict

from cnn_offset.attestations.fonts import unprintable
from cnn_offset.domain.text import N_, NAME_LENGTH, REASON_LENGTH, UnreadableTextError, clean_line
from cnn_offset.i18n import LANGUAGES, countries, language, number
from cnn_offset.services import ServiceError
from cnn_offset.services.checking_out import PlanPart
from cnn_offset.services.ordering import clean_email

Form = MultiDict[str, str]
Values = dict[str, Any]
Errors = dict[str, str]

OWN_WORDS: Final = "own"
REASONS: Final[Mapping[str, str]] = {
    "climate": N_("Voluntary climate action"),
    "household": N_("Emissions of a household"),
    "journey": N_("Emissions of a journey"),
    "event": N_("Emissions of an event"),
    "organisation": N_("Emissions of an organisation"),
    "product": N_("Emissions of a product or service"),
    "gift": N_("A gift"),
}
"""The standard reasons, printed in the language of the attestation."""

_COMPANY: Final = ("company", "tax_id", "purchase_order")
_DETAILS: Final = ("kind", "name", *_COMPANY, "email", "street", "postcode", "city", "country")


def read_details(form: Form) -> tuple[Values, Errors]:
    """Read who buys. Values come back as typed where they are wrong."""
    values: Values = {name: form.get(name, "").strip() for name in _DETAILS}
    errors: Errors = {}
    company = values["kind"] == "company"
    if values["kind"] not in ("person", "company"):
        errors["kind"] = gettext("Please say whether you buy as a person or for a company.")
    _line(values, errors, "name", missing=gettext("Please enter your name."))
    if company:
        _line(values, errors, "company", missing=gettext("Please enter the name of the company."))
        _line(values, errors, "tax_id", longest=40)
        _line(values, errors, "purchase_order", longest=60)
    else:
        values |= dict.fromkeys(_COMPANY, "")
    try:
        values["email"] = clean_email(values["email"])
    except ServiceError as error:
        errors["email"] = gettext(error.message)
    _line(
        values,
        errors,
        "street",
        missing=gettext("Please enter street and number.") if company else "",
    )
    _line(values, errors, "postcode", longest=20)
    _line(values, errors, "city", missing=gettext("Please enter town or city.") if company else "")
    if values["country"] not in dict(countries(language())):
        errors["country"] = gettext("Please choose a country.")
    return values, errors


def read_beneficiary(form: Form, plan: Sequence[PlanPart]) -> tuple[Values, Errors]:
    """Read for whom and why, what is published, the language, and how each part is paid."""
    values: Values = {
        name: form.get(name, "").strip()
        for name in ("beneficiary", "reason", "own_reason", "attestation_locale")
    }
    for name in ("publish_name", "publish_reason"):
        values[name] = form.get(name) == "yes"
    errors: Errors = {}
    _line(
        values,
        errors,
        "beneficiary",
        missing=gettext("Please enter in whose name the units are to be cancelled."),
    )
    printed = ["beneficiary"]
    if values["reason"] == OWN_WORDS:
        _line(
            values,
            errors,
            "own_reason",
            longest=REASON_LENGTH,
            missing=gettext("Please write the reason, or choose one from the list."),
        )
        printed.append("own_reason")
    elif values["reason"] not in REASONS:
        errors["reason"] = gettext("Please choose a reason.")
    for name in printed:
        signs = [] if name in errors else unprintable(values[name])
        if signs:
            errors[name] = gettext(
                "The attestation cannot print: %(signs)s. Please write this in other letters.",
                signs=" ".join(signs),
            )
    if values["attestation_locale"] not in LANGUAGES:
        errors["attestation_locale"] = gettext("Please choose the language of the attestation.")
    values["methods"] = {}
    for part in plan:
        chosen = form.get(method_field(part), "")
        values["methods"][part_key(part)] = chosen
        if chosen not in {each.method_id for each in part.methods}:
            errors[method_field(part)] = gettext(
                "Please choose how to pay %(provider)s.", provider=part.provider.name
            )
    return values, errors


def part_key(part: PlanPart) -> str:
    """Name a part of the plan in the checkout's details."""
    return f"{part.provider.id}-{part.currency}"


def method_field(part: PlanPart) -> str:
    """Name the field that chooses how ``part`` is paid."""
    return f"method-{part_key(part)}"


def reason_text(details: Mapping[str, Any]) -> str:
    """Return the reason as it is printed: own words, or a standard one in its language."""
    if details.get("reason") == OWN_WORDS:
        return str(details.get("own_reason", ""))
    chosen = REASONS[details["reason"]]
    with force_locale(details.get("attestation_locale", "en")):
        return str(gettext(chosen))


def _line(
    values: Values, errors: Errors, name: str, *, longest: int = NAME_LENGTH, missing: str = ""
) -> None:
    """Clean one line in place, or say what is wrong. ``missing``: said if it is empty."""
    try:
        line = clean_line(values[name])
    except UnreadableTextError as error:
        errors[name] = gettext(
            "There is an invisible sign in this text (%(sign)s), such as a direction mark or "
            "part of an emoji. Please type the text afresh.",
            sign=str(error),
        )
        return
    if len(line) > longest:
        errors[name] = gettext(
            "Please write at most %(n)s letters; these are %(many)s.",
            n=number(longest, language()),
            many=number(len(line), language()),
        )
        return
    if missing and not line:
        errors[name] = missing
        return
    values[name] = line
