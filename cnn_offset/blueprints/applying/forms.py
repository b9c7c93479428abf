"""Reading an application."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from flask_babel import gettext
from werkzeug.datastructures import MultiDict

from cnn_offset.blueprints.catalogue.words import registry
from cnn_offset.domain.calendar import RegistryPhase
from cnn_offset.domain.text import N_
from cnn_offset.extensions import platform
from cnn_offset.i18n import countries, language
from cnn_offset.models import ApplicantRole
from cnn_offset.services import ServiceError
from cnn_offset.services.applying import Wish, read_activities
from cnn_offset.typed import Typed

NOT_HERE: Final[Mapping[str, str]] = {
    "participant": N_(
        "A project participant without an account of its own cannot apply. Either the focal point "
        "for scope (a) applies and offers the units in the pending account, or you ask the "
        "registry for a permanent holding account, have the units forwarded to it and apply as "
        "its representative. Participants from countries outside Annex I can have one."
    ),
    "annex_i": N_(
        "Thank you for asking, but units in the registry of an Annex I country cannot be offered "
        "here: the platform can only have units cancelled that lie in the pending account or in "
        "a permanent holding account of a registry it is connected to."
    ),
}
"""What is said to those who cannot offer (FAQ; F6)."""


def registries() -> dict[str, str]:
    """Return the titles of the registry connections in which units can still be cancelled."""
    here = platform()
    now = here.clock()
    return {
        name: registry(name)
        for name, dates in here.dates_for_offers.items()
        if name in here.registries
        and not dates.pause
        and dates.phase(now) not in (RegistryPhase.ENDED, RegistryPhase.CLOSED)
    }


def read_wish(form: MultiDict[str, str]) -> tuple[Typed, Wish | None]:
    """Read what an applicant typed; no wish if anything is wrong with it."""
    typed = Typed(form)
    role = typed.choice(
        "role",
        {*ApplicantRole, *NOT_HERE},
        gettext("Please say by what right you offer the units."),
    )
    organisation = typed.line(
        "organisation", missing=gettext("Please enter the name of your organisation.")
    )
    country = typed.choice(
        "country", dict(countries(language())), gettext("Please choose a country.")
    )
    address = typed.lines(
        "address", longest=500, missing=gettext("Please enter the postal address.")
    )
    website = typed.web_address("website")
    registry_id = typed.choice("registry", registries(), gettext("Please choose a registry."))
    account_ref = typed.line(
        "account",
        longest=80,
        missing=gettext("Please enter the number of the permanent holding account.")
        if role == ApplicantRole.HOLDER
        else "",
    )
    refs: list[str] = []
    typed.lines("activities", longest=4000)
    if "activities" not in typed.errors:
        try:
            refs = read_activities(typed.values["activities"])
        except ServiceError as error:
            typed.errors["activities"] = gettext(error.message, **error.values)
    typed.choice("terms", {"yes"}, gettext("Please accept the terms of use to go on."))
    if role in NOT_HERE:
        # Nothing else matters then.
        typed.errors = {"role": gettext(NOT_HERE[role])}
    if typed.errors:
        return typed, None
    return typed, Wish(
        organisation=organisation,
        country=country,
        address=address,
        website=website,
        role=ApplicantRole(role),
        registry_id=registry_id,
        account_ref=account_ref,
        activities=refs,
    )
