"""What the provider holds in the registries, and what of it can be offered."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from typing import Any, Final

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_security import current_user

from cnn_offset.blueprints.catalogue import words
from cnn_offset.blueprints.provider.workspace import bp
from cnn_offset.domain.calendar import RegistryDates, RegistryPhase
from cnn_offset.domain.staff import Duty
from cnn_offset.domain.text import N_
from cnn_offset.domain.units import Obstacle
from cnn_offset.extensions import db, limiter, platform, unit_of_work
from cnn_offset.guards import staff_may
from cnn_offset.models import AccountKind, Block
from cnn_offset.services import holdings as accounts
from cnn_offset.services import offering, stocktaking
from cnn_offset.services.stocktaking import Holding
from cnn_offset.web import row_id

PAGE: Final = 50
OBSTACLES: Final[Mapping[str, tuple[str, str]]] = {
    Obstacle.PROCEEDS_UNPAID: (
        N_("Share of proceeds unpaid"),
        N_("Pay the share of proceeds for this issuance; the registry then releases the units."),
    ),
    Obstacle.PROCEEDS_PARTLY: (
        N_("Share of proceeds paid in part"),
        N_("Pay the rest of the share of proceeds, or ask us whether partial payment will do."),
    ),
    Obstacle.ACCOUNT_KIND: (
        N_("Wrong kind of account"),
        N_("Have the units forwarded to a permanent holding account of the registry."),
    ),
    Obstacle.NOT_MAPPED: (
        N_("Project not mapped"),
        N_("Ask us to map this project to your account."),
    ),
    Obstacle.ANNEX_I: (
        N_("Units of an Annex I registry"),
        N_(
            "Only units issued for projects in countries outside Annex I of the Convention, and "
            "held in the CDM registry itself, can be cancelled here. Units once sent to a "
            "national registry cannot come back; please ask that registry to cancel them there."
        ),
    ),
    Obstacle.EXPIRED: (
        N_("Units have expired"),
        N_("These were temporary units. After their last day they stand for nothing any more."),
    ),
    Obstacle.UNCLEAR: (
        N_("Contradictory report"),
        N_(
            "The kind of these units or their host country is not what their serial numbers say. "
            "Please write to us; we ask the registry."
        ),
    ),
    Obstacle.CONTRADICTORY: (
        N_("Report that makes no sense"),
        N_("What the registry says of these units contradicts itself. We ask the registry."),
    ),
    Obstacle.REFUSED: (
        N_("Refused by the registry"),
        N_("Ask the registry why it does not release these units."),
    ),
}
"""What stands in the way of an offer, and what to do about it."""
KINDS: Final[Mapping[AccountKind, str]] = {
    AccountKind.PENDING: N_("Pending account of the Board"),
    AccountKind.PERMANENT: N_("Permanent holding account"),
    AccountKind.TEMPORARY: N_("Temporary holding account"),
    AccountKind.ANNEX_I: N_("Account in the registry of an Annex I Party"),
}
PHASES: Final[Mapping[RegistryPhase, str]] = {
    RegistryPhase.NOT_OPEN: N_("The registry is not open yet."),
    RegistryPhase.DRAINING: N_("The registry takes no new orders; running ones are finished."),
    RegistryPhase.ENDED: N_("The registry cancels no units any more."),
    RegistryPhase.CLOSED: N_("The registry is closed."),
}


def closing(registry_id: str) -> tuple[str, Any]:
    """Say how a registry stands: a message id ("" if open) and the last moment for orders."""
    dates = platform().registry_dates.get(registry_id)
    if dates is None:
        return N_("This site does not work with the registry at present."), None
    return PHASES.get(dates.phase(platform().clock()), ""), dates.orders_until


def for_pages() -> dict[str, Any]:
    """Return what the templates of holdings and offers share."""
    return {
        "obstacles": OBSTACLES,
        "kinds": KINDS,
        "closing": closing,
        "registry_name": words.registry,
        "may": current_user.may(Duty.OFFERS),
    }


@bp.get("/provider/holdings")
def holdings() -> ResponseReturnValue:
    """List the provider's blocks by account and project, as the registries report them."""
    session, ours = db.session(), current_user.provider_id
    show = request.args.get("show", "")
    activity_id = request.args.get("project", type=row_id)
    registry_id = request.args.get("registry", "")
    after = request.args.get("after", type=row_id)
    found = stocktaking.holdings(
        session,
        ours,
        registry_id=registry_id,
        activity_id=activity_id,
        show=show,
        after=after,
        limit=PAGE + 1,
    )
    shown = found[:PAGE]
    mapped = stocktaking.projects(session, ours)
    filtered = bool(show or activity_id or registry_id)
    return render_template(
        "provider/holdings.html",
        accounts=stocktaking.accounts(session, ours),
        groups=_grouped(shown),
        sums=stocktaking.sums(session, ours, {each.block.activity_id for each in shown}),
        unmapped=[] if filtered or after else stocktaking.unmapped(session, ours),
        next=shown[-1].block.id if len(found) > PAGE else None,
        projects=mapped,
        registries=sorted({each.registry_id for each in mapped} | set(platform().registries)),
        chosen={"registry": registry_id, "project": activity_id, "show": show},
        filtered=filtered,
        **for_pages(),
    )


def _grouped(found: list[Holding]) -> list[tuple[Block, list[Holding]]]:
    """Group what is in order already; each group is headed by its first block."""

    def place(holding: Holding) -> tuple[str, str, int]:
        block = holding.block
        return block.registry_id, block.account_ref, block.activity_id

    groups = [list(group) for _, group in groupby(found, place)]
    return [(group[0].block, group) for group in groups]


@bp.get(f"/provider/holdings/<int(max={2**63 - 1}):block_id>")
def holding(block_id: int) -> ResponseReturnValue:
    """Show one block: its serial numbers, what of it is offered, and what stands in the way."""
    session, ours = db.session(), current_user.provider_id
    block = offering.own_block(session, ours, block_id)
    offers = stocktaking.offers_of_block(session, ours, block_id)
    dates = platform().registry_dates.get(block.registry_id, RegistryDates())
    return render_template(
        "provider/holding.html",
        holding=stocktaking.with_promises(session, [block])[0],
        block=block,
        offers=offers,
        on_sale=any(each.status == "open" and not each.private_token for each in offers),
        period=words.period(str(block.commitment_period or "")),
        # Before a registry opens offers are prepared.
        is_open=dates.phase(platform().clock()) in (RegistryPhase.OPEN, RegistryPhase.NOT_OPEN),
        **for_pages(),
    )


@bp.post(f"/provider/accounts/<int(max={2**63 - 1}):account_id>/read")
@staff_may(Duty.OFFERS)
@limiter.limit("10 per minute")
def read_account(account_id: int) -> ResponseReturnValue:
    """Ask a registry now what an account holds."""
    with unit_of_work() as session:
        accounts.ask_again(session, current_user.provider_id, account_id, now=platform().clock())
    flash(gettext("The registry is being asked. See this page again in a moment."), "success")
    return redirect(url_for("provider.holdings"))
