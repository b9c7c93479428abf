"""The provider's own particulars: seen by all its staff, changed by those who may."""

from __future__ import annotations

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_security import current_user

from cnn_offset.blueprints.provider.workspace import bp
from cnn_offset.domain.staff import Duty
from cnn_offset.extensions import platform, unit_of_work
from cnn_offset.guards import staff_may
from cnn_offset.i18n import LANGUAGES, countries, language
from cnn_offset.services import particulars as own
from cnn_offset.typed import Typed


@bp.get("/provider/particulars")
def particulars() -> ResponseReturnValue:
    """Show what the provider says of itself."""
    typed = Typed(request.form)
    provider = current_user.provider
    typed.values = {
        name: getattr(provider, name)
        for name in ("address", "country", "tax_id", "website", "email", "locale")
    }
    return _page(typed)


def _page(typed: Typed) -> ResponseReturnValue:
    page = render_template(
        "provider/particulars.html",
        provider=current_user.provider,
        values=typed.values,
        errors=typed.errors,
        countries=countries(language()),
        may=current_user.may(Duty.PAYOUTS),
    )
    return page, 422 if typed.errors else 200


@bp.post("/provider/particulars")
@staff_may(Duty.PAYOUTS, fresh=True)
def change_particulars() -> ResponseReturnValue:
    """Change them; whoever got the mails so far is told where they go now."""
    typed = Typed(request.form)
    address = typed.lines(
        "address", longest=500, missing=gettext("Please enter the postal address.")
    )
    country = typed.choice(
        "country", dict(countries(language())), gettext("Please choose a country.")
    )
    tax_id = typed.line("tax_id", longest=40)
    website = typed.web_address("website")
    locale = typed.choice("locale", LANGUAGES, gettext("Please choose a language."))
    email = typed.email("email")
    if typed.errors:
        return _page(typed)
    with unit_of_work() as session:
        changed = own.change(
            session,
            current_user.provider_id,
            own.Particulars(address, country, tax_id, website, email, locale),
            actor=current_user.email,
            now=platform().clock(),
        )
    flash(gettext("Your particulars are saved.") if changed else gettext("Nothing has changed."))
    return redirect(url_for("provider.particulars"))
