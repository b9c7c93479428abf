"""Reading what purchasers type: values to keep, and one sentence for each fault."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from flask_babel import force_locale, gettext
from werkzeug.datastructures import MultiDict

from cnn_offset.attestations.fonts import unprintable
from cnn_offset.domain.text import N_, REASON_LENGTH
from cnn_offset.i18n import LANGUAGES, countries, language
from cnn_offset.services.checking_out import PlanPart
from cnn_offset.typed import Typed

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


def read_details(form: Form) -> tuple[Values, Errors]:
    """Read who buys. Values come back as typed where they are wrong."""
    typed = Typed(form)
    kind = typed.choice(
        "kind",
        ("person", "company"),
        gettext("Please say whether you buy as a person or for a company."),
    )
    company = kind == "company"
    typed.line("name", missing=gettext("Please enter your name."))
    if company:
        typed.line("company", missing=gettext("Please enter the name of the company."))
        typed.line("tax_id", longest=40)
        typed.line("purchase_order", longest=60)
    else:
        typed.values |= dict.fromkeys(_COMPANY, "")
    typed.email("email")
    typed.line("street", missing=gettext("Please enter street and number.") if company else "")
    typed.line("postcode", longest=20)
    typed.line("city", missing=gettext("Please enter town or city.") if company else "")
    typed.choice("country", dict(countries(language())), gettext("Please choose a country."))
    return dict(typed.values), typed.errors


def read_beneficiary(form: Form, plan: Sequence[PlanPart]) -> tuple[Values, Errors]:
    """Read for whom and why, what is published, the language, and how each part is paid."""
    typed = Typed(form)
    typed.line(
        "beneficiary",
        missing=gettext("Please enter in whose name the units are to be cancelled."),
    )
    printed = ["beneficiary"]
    chosen = typed.choice("reason", (OWN_WORDS, *REASONS), gettext("Please choose a reason."))
    if chosen == OWN_WORDS:
        typed.line(
            "own_reason",
            longest=REASON_LENGTH,
            missing=gettext("Please write the reason, or choose one from the list."),
        )
        printed.append("own_reason")
    for name in printed:
        signs = [] if name in typed.errors else unprintable(typed.values[name])
        if signs:
            typed.errors[name] = gettext(
                "The attestation cannot print: %(signs)s. Please write this in other letters.",
                signs=" ".join(signs),
            )
    typed.choice(
        "attestation_locale", LANGUAGES, gettext("Please choose the language of the attestation.")
    )
    # Own words stay while another reason is chosen, should the purchaser come back to them.
    values: Values = {"own_reason": form.get("own_reason", "").strip(), **typed.values}
    for name in ("publish_name", "publish_reason"):
        values[name] = form.get(name) == "yes"
    values["methods"] = {}
    for part in plan:
        way = form.get(method_field(part), "")
        values["methods"][part_key(part)] = way
        if way not in {each.method_id for each in part.methods}:
            typed.errors[method_field(part)] = gettext(
                "Please choose how to pay %(provider)s.", provider=part.provider.name
            )
    return values, typed.errors


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
