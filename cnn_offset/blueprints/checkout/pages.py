"""What each step of the checkout shows."""

from __future__ import annotations

from typing import Any, Final

from flask import render_template, request
from flask_security import current_user
from sqlalchemy import select

from cnn_offset.blueprints.checkout import forms
from cnn_offset.domain.attestation import AttestationData
from cnn_offset.extensions import db, platform
from cnn_offset.i18n import countries, language
from cnn_offset.models import Checkout, Order
from cnn_offset.services import attesting, checking_out
from cnn_offset.services.checking_out import PlanPart
from cnn_offset.wording import terms_version

CONSENTS: Final = ("consent_terms", "consent_now")


def previews_of(checkout: Checkout) -> list[AttestationData]:
    """Return what the attestation of each part of the plan will say."""
    typed = checkout.details
    titles = platform().registry_titles
    return [
        attesting.preview_data(
            part,
            beneficiary=typed["beneficiary"],
            reason=forms.reason_text(typed),
            locale=typed["attestation_locale"],
            registry_titles=titles,
        )
        for part in plan_of(checkout)
    ]


def _page(template: str, checkout: Checkout, **values: Any) -> str:
    now = platform().clock()
    left = max(0, int(((checkout.due_at or now) - now).total_seconds()) + 59) // 60
    return render_template(
        template,
        checkout=checkout,
        token=checkout.token,
        held_until=checkout.due_at,
        minutes_left=left,
        hold_minutes=platform().settings.HOLD_MINUTES,
        **values,
    )


def details_page(
    checkout: Checkout, values: dict[str, Any], errors: dict[str, str] | None = None
) -> str:
    """Render step 1 with what is known or was typed."""
    return _page(
        "checkout/details.html",
        checkout,
        values={"kind": "person", **values},
        errors=errors or {},
        countries=countries(language()),
        then=request.values.get("then", ""),
    )


def beneficiary_page(
    checkout: Checkout,
    typed: dict[str, Any] | None = None,
    errors: dict[str, str] | None = None,
) -> str:
    """Render step 2; with ``preview`` in the address also what the attestation will say."""
    known = checkout.details
    company = known["kind"] == "company"
    parts = plan_of(checkout)
    defaults = {
        "reason": "",
        "own_reason": "",
        "attestation_locale": language(),
        # Persons are private unless they say otherwise; companies want to be seen (C6).
        "publish_name": company,
        "publish_reason": company,
    }
    only = {
        forms.part_key(each): each.methods[0].method_id for each in parts if len(each.methods) == 1
    }
    values = {**defaults, **known}
    values["beneficiary"] = known.get("beneficiary") or default_name(known)
    values |= typed or {}
    values["methods"] = {**only, **known.get("methods", {}), **(typed or {}).get("methods", {})}
    shown = request.method == "GET" and "preview" in request.args and "beneficiary" in known
    return _page(
        "checkout/beneficiary.html",
        checkout,
        parts=parts,
        values=values,
        errors=errors or {},
        reasons=forms.REASONS,
        own_words=forms.OWN_WORDS,
        part_key=forms.part_key,
        method_field=forms.method_field,
        methods=platform().payments,
        previews=previews_of(checkout) if shown else [],
    )


def default_name(typed: dict[str, Any]) -> str:
    """Return the name that an attestation bears unless the purchaser says otherwise."""
    return str(typed["company"] if typed["kind"] == "company" else typed["name"])


def review_page(checkout: Checkout, errors: dict[str, str] | None = None) -> str:
    """Render step 3: everything that was said, before it counts."""
    chosen = checkout.details.get("methods", {})
    parts = plan_of(checkout)
    return _page(
        "checkout/review.html",
        checkout,
        parts=[(part, chosen.get(forms.part_key(part), "")) for part in parts],
        typed=checkout.details,
        reason=forms.reason_text(checkout.details),
        errors=errors or {},
        ticked={
            name
            for name in CONSENTS
            if request.form.get(name) == "yes" and name not in (errors or {})
        },
        methods=platform().payments,
        previews=previews_of(checkout),
        terms_version=terms_version(),
    )


def ended_page() -> str:
    """Say that a registry has taken its last order while the purchaser filled in the rest."""
    return render_template("checkout/lapsed.html", has_basket=True, ended=True)


def prefill() -> dict[str, str]:
    """Take what a signed-in purchaser said last time; for a guest nothing."""
    if not current_user.is_authenticated:
        return {}
    last = db.session.scalar(
        select(Order).where(Order.user_id == current_user.id).order_by(Order.id.desc()).limit(1)
    )
    if last is None:
        return {"kind": "person", "name": current_user.name, "email": current_user.email}
    return {
        "kind": last.purchaser_kind,
        "name": last.purchaser_name,
        "email": current_user.email,
        **{
            name: getattr(last, name)
            for name in ("company", "tax_id", "street", "postcode", "city", "country")
        },
    }


def plan_of(checkout: Checkout) -> list[PlanPart]:
    """Return who is to be paid what, and how it can be done now."""
    here = platform()
    return checking_out.payment_plan(
        checkout, here.payments_for_new, here.dates_for_new, now=here.clock()
    )
