"""Providers: their accounts in the registries, and the activities mapped to these."""

from __future__ import annotations

from typing import Final

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext, ngettext
from flask_security import current_user
from sqlalchemy import select

from cnn_offset.blueprints.admin.desk import bp
from cnn_offset.blueprints.catalogue.words import registry
from cnn_offset.extensions import db, platform, unit_of_work
from cnn_offset.models import AccountKind, Provider
from cnn_offset.services import NotFoundError, ServiceError, holdings, mapping
from cnn_offset.typed import Typed
from cnn_offset.web import row_id

PAGE: Final = 50


@bp.get("/operator/providers")
def providers() -> ResponseReturnValue:
    """List providers, newest first, by name."""
    words = request.args.get("q", "").replace("\0", "").strip()[:200]
    before = request.args.get("before", type=row_id)
    wanted = select(Provider)
    if words:
        wanted = wanted.where(Provider.name.icontains(words, autoescape=True))
    if before:
        wanted = wanted.where(Provider.id < before)
    found = db.session.scalars(wanted.order_by(Provider.id.desc()).limit(PAGE + 1)).all()
    return render_template(
        "admin/providers.html",
        providers=found[:PAGE],
        older=found[PAGE - 1].id if len(found) > PAGE else None,
        words=words,
    )


def _provider(slug: str) -> Provider:
    found = db.session.scalar(select(Provider).where(Provider.slug == slug.replace("\0", "")))
    if found is None:
        raise NotFoundError(slug)
    return found


@bp.get("/operator/providers/<slug>")
def provider(slug: str) -> ResponseReturnValue:
    """Show a provider's accounts and what is mapped to them."""
    return _page(_provider(slug))


def _page(provider: Provider, typed: Typed | None = None) -> ResponseReturnValue:
    page = render_template(
        "admin/provider.html",
        provider=provider,
        accounts=mapping.accounts(db.session(), provider),
        staff=mapping.people(db.session(), provider),
        registries={name: registry(name) for name in platform().registries},
        values=typed.values if typed else {},
        errors=typed.errors if typed else {},
        most=mapping.MOST,
    )
    return page, 422 if typed and typed.errors else 200


@bp.post("/operator/providers/<slug>/accounts")
def open_account(slug: str) -> ResponseReturnValue:
    """Open one more account of a provider, or read a known one again."""
    provider_id, typed, here = _provider(slug).id, Typed(request.form), platform()
    registry_id = typed.choice("registry", here.registries, gettext("Please choose a registry."))
    kind = typed.choice(
        "kind", set(AccountKind), gettext("Please choose what kind of account it is.")
    )
    ref = typed.line(
        "account",
        longest=80,
        missing=""
        if kind == AccountKind.PENDING
        else gettext("Please enter the number of the account."),
    )
    if not typed.errors:
        try:
            with unit_of_work() as session:
                mapping.open_account(
                    session,
                    session.get_one(Provider, provider_id),
                    registry_id=registry_id,
                    account_ref=ref,
                    kind=AccountKind(kind),
                    actor=current_user.email,
                    now=here.clock(),
                )
        except ServiceError as error:
            typed.errors[""] = gettext(error.message, **error.values)
    if typed.errors:
        return _page(_provider(slug), typed)
    flash(gettext("The account is being read from the registry."), "success")
    return redirect(url_for("admin.provider", slug=slug))


@bp.post("/operator/providers/<slug>/map")
def map_activity(slug: str) -> ResponseReturnValue:
    """Let the provider offer units of an activity from one of its accounts."""
    typed, now = Typed(request.form), platform().clock()
    ref = typed.line("ref", longest=40, missing=gettext("Please enter a reference number."))
    provider_id = _provider(slug).id
    if not typed.errors:
        try:
            with unit_of_work() as session:
                account = mapping.account(session, provider_id, _account_id())
                holdings.map_activity(
                    session,
                    account,
                    mapping.activity(session, account, ref),
                    actor=current_user.email,
                    now=now,
                )
        except ServiceError as error:
            typed.errors["ref"] = gettext(error.message, **error.values)
    if typed.errors:
        typed.values["account_id"] = request.form.get("account_id", "")
        return _page(_provider(slug), typed)
    flash(gettext("Mapped. The account is read again at once."), "success")
    return redirect(url_for("admin.provider", slug=slug))


@bp.post("/operator/providers/<slug>/unmap")
def unmap_activity(slug: str) -> ResponseReturnValue:
    """Take an activity back; its offers close, running orders go on."""
    provider_id = _provider(slug).id
    try:
        with unit_of_work() as session:
            account = mapping.account(session, provider_id, _account_id())
            closed = holdings.unmap_activity(
                session,
                account,
                mapping.activity(session, account, request.form.get("ref", "")),
                actor=current_user.email,
                now=platform().clock(),
            )
    except ServiceError as error:
        flash(gettext(error.message, **error.values), "error")
        return redirect(url_for("admin.provider", slug=slug))
    flash(
        ngettext(
            "No longer mapped. %(num)s offer is closed.",
            "No longer mapped. %(num)s offers are closed.",
            closed,
        ),
        "success",
    )
    return redirect(url_for("admin.provider", slug=slug))


def _account_id() -> int:
    number = request.form.get("account_id", type=row_id)
    if number is None:
        raise NotFoundError("account")
    return number
