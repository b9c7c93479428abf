"""What operators set while the platform runs: read with a default, changed with a reason."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from cnn_offset.domain.calendar import RegistryDates
from cnn_offset.domain.text import N_
from cnn_offset.models import Switch
from cnn_offset.services import ServiceError
from cnn_offset.services.moves import note

METHODS: Final = "methods"
"""Payment methods that new checkouts do not offer: ``{"off": [name, …]}``."""
REGISTRIES: Final = "registries"
"""Registry connections whose offers are taken out: ``{"off": [name, …]}``."""
ORDERS: Final = "orders"
"""Whether new orders are stopped altogether: ``{"stopped": true}``."""
NOTICE: Final = "notice"
"""What everybody is told: ``{"text": {…}, "starts_at": …, "ends_at": …}``."""
MOVING: Final = "moving"
"""Registry connections between which units are moving: ``{"off": [name, …]}`` (F3)."""
NAMES: Final = (METHODS, REGISTRIES, ORDERS, NOTICE, MOVING)
DATES: Final = "dates."
"""And the name of a registry connection: its dates instead of the configuration's."""
LANGUAGES: Final = ("en", "fr", "es")


def read(session: Session, name: str) -> dict[str, Any]:
    """Return what is set under ``name``; an empty table if nothing is."""
    return session.scalar(select(Switch.value).where(Switch.name == name)) or {}


def change(
    session: Session,
    name: str,
    value: Mapping[str, Any],
    *,
    reason: str,
    actor: str,
    now: datetime,
) -> Switch:
    """Set ``name`` to ``value`` and keep who did so, and why. Safe to repeat.

    Raises:
        ServiceError: no reason is given.

    """
    if not reason.strip():
        raise ServiceError(N_("Please write the reason."))
    row = _locked(session, name, actor=actor, now=now)
    if row.value != dict(value):
        row.value, row.changed_by, row.changed_at = dict(value), actor, now
        session.flush()
        note(session, row, old="", new=name[:32], actor=actor, why=reason, now=now)
    return row


def _locked(session: Session, name: str, *, actor: str, now: datetime) -> Switch:
    """Return the row of ``name`` as it is now, for nobody else to change until the commit."""
    wanted = (
        select(Switch)
        .where(Switch.name == name)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    found = session.scalar(wanted)
    if found is not None:
        return found
    fresh = Switch(name=name, value={}, changed_by=actor, changed_at=now)
    try:
        with session.begin_nested():
            session.add(fresh)
            session.flush()
    except IntegrityError:
        return session.scalars(wanted).one()
    return fresh


def turn(
    session: Session,
    kind: str,
    name: str,
    *,
    on: bool,
    reason: str,
    actor: str,
    now: datetime,
) -> None:
    """Take a payment method (:data:`METHODS`) or a registry (:data:`REGISTRIES`) out, or back in.

    Of a method running payments go on, of a registry orders already placed. Safe to repeat.

    Raises:
        ServiceError: no reason is given.

    """
    # Two operators may turn two of them at once: neither is to be lost.
    off = set(_locked(session, kind, actor=actor, now=now).value.get("off", ()))
    off = off - {name} if on else off | {name}
    change(
        session,
        kind,
        {"off": sorted(off)},
        reason=f"{name}: {'on' if on else 'off'}. {reason}" if reason.strip() else "",
        actor=actor,
        now=now,
    )


def stop_orders(session: Session, *, stopped: bool, reason: str, actor: str, now: datetime) -> None:
    """Let nobody place a new order, or everybody again. Placed ones go on. Safe to repeat.

    Raises:
        ServiceError: no reason is given.

    """
    change(session, ORDERS, {"stopped": stopped}, reason=reason, actor=actor, now=now)


def announce(
    session: Session,
    text: Mapping[str, str],
    *,
    starts_at: datetime,
    ends_at: datetime,
    reason: str,
    actor: str,
    now: datetime,
) -> None:
    """Show everybody a notice from one moment until another. Replaces the one before.

    Raises:
        ServiceError: a language is missing, the moments are the wrong way round or over,
            or no reason is given.

    """
    if not all(text.get(lang, "").strip() for lang in LANGUAGES):
        raise ServiceError(N_("Please write the notice in all three languages."))
    if ends_at <= starts_at:
        raise ServiceError(N_("The notice must end after it begins."))
    if ends_at <= now:
        raise ServiceError(N_("The notice would be over already. Please choose a later end."))
    value = {
        "text": {lang: text[lang].strip() for lang in LANGUAGES},
        "starts_at": starts_at.isoformat(),
        "ends_at": ends_at.isoformat(),
    }
    change(session, NOTICE, value, reason=reason, actor=actor, now=now)


def withdraw_notice(session: Session, *, reason: str, actor: str, now: datetime) -> None:
    """Show the notice no more. Safe to repeat.

    Raises:
        ServiceError: no reason is given.

    """
    change(session, NOTICE, {}, reason=reason, actor=actor, now=now)


def dates_row(session: Session, registry_id: str, *, actor: str, now: datetime) -> Switch:
    """Return the row of a registry's dates, which proposals are about; made if there is none."""
    return _locked(session, DATES + registry_id, actor=actor, now=now)


def dates_of(session: Session, registry_id: str) -> Switch | None:
    """Return the row of a registry's dates, if operators have ever asked to change them."""
    return session.scalar(select(Switch).where(Switch.name == DATES + registry_id))


def read_dates(value: Mapping[str, Any]) -> RegistryDates:
    """Read dates as they are kept.

    Raises:
        ValueError: they are none, or out of order.

    """
    opens, last_order, last_cancellation, closed = (
        datetime.fromisoformat(value[name]) if value.get(name) else None for name in DATE_NAMES
    )
    return RegistryDates(opens, last_order, last_cancellation, closed)


def write_dates(dates: RegistryDates) -> dict[str, str]:
    """Return what :func:`read_dates` reads."""
    found = {name: getattr(dates, name) for name in DATE_NAMES}
    return {name: moment.isoformat() if moment else "" for name, moment in found.items()}


DATE_NAMES: Final = ("opens", "last_order", "last_cancellation", "closed")
