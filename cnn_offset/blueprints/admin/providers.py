"""Providers: suspended or not, their accounts in the registries, and what is mapped to these."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_security import current_user
from sqlalchemy import select
from sqlalchemy.orm import Session

from cnn_offset.blueprints.admin.desk import bp
from cnn_offset.blueprints.admin.proposed import Change, Described, describes
from cnn_offset.blueprints.catalogue.words import registry
from cnn_offset.domain.staff import DeskDuty
from cnn_offset.extensions import db, platform, unit_of_work
from cnn_offset.guards import operator_may
from cnn_offset.i18n import language, localised
from cnn_offset.models import AccountKind, Proposal, ProposalKind, Provider
from cnn_offset.services import NotFoundError, ServiceError, entitling, mapping, suspending
from cnn_offset.services.entitling import Entitlement
from cnn_offset.services.odd_periods import odd_periods
from cnn_offset.typed import Typed
from cnn_offset.web import last_shown, row_id

PAGE: Final = 50
_MAPPING: Final = f"/operator/providers/<slug>/mappings/<int(max={2**63 - 1}):mapping_id>"


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
        older=last_shown(found, PAGE),
        words=words,
    )


def _provider(slug: str) -> Provider:
    found = db.session.scalar(select(Provider).where(Provider.slug == slug.replace("\0", "")))
    if found is None:
        raise NotFoundError(slug)
    return found


@bp.get("/operator/providers/<slug>")
def provider(slug: str) -> ResponseReturnValue:
    """Show a provider, its accounts and what is mapped to them."""
    return _page(_provider(slug))


def _page(provider: Provider, typed: Typed | None = None) -> ResponseReturnValue:
    page = render_template(
        "admin/provider.html",
        provider=provider,
        accounts=mapping.accounts(db.session(), provider),
        staff=mapping.people(db.session(), provider),
        odd=odd_periods(db.session(), provider.id),
        registries={name: registry(name) for name in platform().registries},
        values=typed.values if typed else {},
        errors=typed.errors if typed else {},
        most=mapping.MOST,
    )
    return page, 422 if typed and typed.errors else 200


@bp.post("/operator/providers/<slug>/accounts")
@operator_may(DeskDuty.PROVIDERS)
def open_account(slug: str) -> ResponseReturnValue:
    """Open one more account of a provider, or read a known one again."""
    provider_id, typed, here = _provider(slug).id, Typed(request.form), platform()
    registry_id = typed.choice(
        "registry",
        here.registries.keys() - here.registries_retired,
        gettext("Please choose a registry."),
    )
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


@bp.post("/operator/providers/<slug>/suspend")
@operator_may(DeskDuty.PROVIDERS, fresh=True)
def suspend_provider(slug: str) -> ResponseReturnValue:
    """Keep a provider's offers from new orders."""
    return _switch(slug, suspending.suspend, gettext("Suspended. The provider is told by mail."))


@bp.post("/operator/providers/<slug>/resume")
@operator_may(DeskDuty.PROVIDERS, fresh=True)
def resume_provider(slug: str) -> ResponseReturnValue:
    """Let a suspended provider sell again."""
    return _switch(slug, suspending.resume, gettext("Its offers are back in the catalogue."))


def _switch(slug: str, verb: Callable[..., bool], done: str) -> ResponseReturnValue:
    provider_id, typed = _provider(slug).id, Typed(request.form)
    reason = typed.lines("reason", longest=2000, missing=gettext("Please write the reason."))
    if typed.errors:
        return _page(_provider(slug), typed)
    with unit_of_work() as session:
        changed = verb(
            session, provider_id, reason, actor=current_user.email, now=platform().clock()
        )
    if changed:
        flash(done, "success")
    else:
        flash(gettext("Somebody else has just done that."), "info")
    return redirect(url_for("admin.provider", slug=slug))


@bp.post("/operator/providers/<slug>/map")
@operator_may(DeskDuty.PROVIDERS)
def map_activity(slug: str) -> ResponseReturnValue:
    """Propose that the provider may offer units of an activity from one of its accounts."""
    typed, now = Typed(request.form), platform().clock()
    ref = typed.line("ref", longest=40, missing=gettext("Please enter a reference number."))
    reason = typed.line("why", longest=500, missing=gettext("Please write the reason."))
    provider_id, account_id = _provider(slug).id, request.form.get("account_id", type=row_id)
    if account_id is None:
        raise NotFoundError("account")
    if not typed.errors:
        try:
            with unit_of_work() as session:
                account = mapping.account(session, provider_id, account_id)
                entitling.propose(
                    session,
                    account,
                    [mapping.activity(session, account, ref)],
                    Entitlement.MAP,
                    reason=reason,
                    actor=current_user.email,
                    now=now,
                )
        except ServiceError as error:
            typed.errors["ref"] = gettext(error.message, **error.values)
    if typed.errors:
        typed.values["account_id"] = str(account_id)
        return _page(_provider(slug), typed)
    return _proposed(slug)


def _proposed(slug: str) -> ResponseReturnValue:
    flash(
        gettext("Asked for. Another operator must approve it under “For two persons”."), "success"
    )
    return redirect(url_for("admin.provider", slug=slug))


@bp.route(_MAPPING, methods=["GET", "POST"])
@operator_may(DeskDuty.PROVIDERS)
def change_mapping(slug: str, mapping_id: int) -> ResponseReturnValue:
    """Propose to take an activity back, or to allow more or less of it."""
    provider, typed = _provider(slug), Typed(request.form)
    found = mapping.mapping(db.session(), provider.id, mapping_id)
    choices = {
        Entitlement.UNMAP: gettext("Take the project back: its offers close, running orders go on"),
        Entitlement.ALLOW_PARTIAL: gettext(
            "Allow units whose share of proceeds is paid in part; the registry must have agreed "
            "to cancel them"
        ),
        Entitlement.END_PARTIAL: gettext(
            "Allow units whose share of proceeds is paid in part no longer"
        ),
    }
    del choices[Entitlement.ALLOW_PARTIAL if found.allows_partial else Entitlement.END_PARTIAL]
    if request.method == "POST":
        wanted = typed.choice("wanted", choices, gettext("Please choose what is to change."))
        reason = typed.lines("reason", longest=2000, missing=gettext("Please write the reason."))
        if not typed.errors:
            try:
                with unit_of_work() as session:
                    kept = mapping.mapping(session, provider.id, found.id)
                    entitling.propose(
                        session,
                        kept.account,
                        [kept.activity],
                        Entitlement(wanted),
                        reason=reason,
                        actor=current_user.email,
                        now=platform().clock(),
                    )
            except ServiceError as error:
                typed.errors[""] = gettext(error.message, **error.values)
            else:
                return _proposed(slug)
    page = render_template(
        "admin/mapping.html",
        provider=_provider(slug),
        mapping=mapping.mapping(db.session(), provider.id, mapping_id),
        choices=[(each, text, "") for each, text in choices.items()],
        values=typed.values,
        errors=typed.errors,
    )
    return page, 422 if typed.errors else 200


@describes(ProposalKind.MAPPING)
def _mapping(session: Session, proposal: Proposal) -> Described:
    account, activities, wanted = entitling.of_proposal(session, proposal)
    what = {
        Entitlement.MAP: gettext(
            "Let %(provider)s offer units of these projects from its account.",
            provider=account.provider.name,
        ),
        Entitlement.UNMAP: gettext(
            "Let %(provider)s offer units of these projects no longer.",
            provider=account.provider.name,
        ),
        Entitlement.ALLOW_PARTIAL: gettext(
            "Let %(provider)s offer units of these projects whose share of proceeds is paid in "
            "part.",
            provider=account.provider.name,
        ),
        Entitlement.END_PARTIAL: gettext(
            "Let %(provider)s offer units of these projects only if the share of proceeds is "
            "paid in full.",
            provider=account.provider.name,
        ),
    }[wanted]
    yes, no = gettext("Yes"), gettext("No")
    after = yes if wanted in (Entitlement.MAP, Entitlement.ALLOW_PARTIAL) else no
    closes = {
        Entitlement.UNMAP: [gettext("Its offers of these units close; running orders go on.")],
        Entitlement.ALLOW_PARTIAL: [
            gettext("The registry must have agreed to cancel them: else paid orders get stuck.")
        ],
    }
    return Described(
        what=what,
        changes=[
            Change(
                f"{each.ref} {localised(each.title, language())}",
                no if after == yes else yes,
                after,
            )
            for each in activities
        ],
        effects=[
            *closes.get(wanted, []),
            gettext(
                "Account %(account)s at %(registry)s is read again at once.",
                account=account.account_ref,
                registry=registry(account.registry_id),
            ),
        ],
        about=(account.provider.name, url_for("admin.provider", slug=account.provider.slug)),
    )
