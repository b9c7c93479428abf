"""How providers are paid: accounts at processors connected, tested, ended.

What a processor says of an account is heard in one way only, :func:`look`: return page,
webhook, daily test and button all end there, so they cannot disagree. Bank details are a
matter of their own (``bank_details.py``).
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from cnn_offset.domain.money import Money, exponent
from cnn_offset.domain.staff import StaffRole
from cnn_offset.domain.status import PayoutStatus
from cnn_offset.domain.text import N_
from cnn_offset.models import PayoutMethod, Provider, User
from cnn_offset.plugins.errors import PluginError, UnavailableError
from cnn_offset.plugins.loader import PluginSet
from cnn_offset.plugins.payments.base import (
    AccountReport,
    ConnectRequest,
    PaymentPlugin,
    StatementPlugin,
)
from cnn_offset.services import Begin, NotFoundError, ServiceError
from cnn_offset.services.mailing import queue_message
from cnn_offset.services.moves import move, note

log = logging.getLogger(__name__)

TESTED_EVERY: Final = timedelta(days=1)
ASKED_EVERY: Final = timedelta(hours=6)
"""While an account is not ready; coming back from the processor asks at once."""
USUAL: Final = ("USD", "EUR")
"""Currencies of a method that nobody has said anything about yet."""
MOST_CURRENCIES: Final = 20
TAKEN: Final = N_(
    "This account already belongs to another provider here. Please connect one of your own, "
    "or write to us if it is yours."
)
OTHER_ACCOUNT: Final = N_(
    "The connection was finished for another account than the one connected before. "
    "Please disconnect, then connect the account you want."
)
Plugins = PluginSet[PaymentPlugin]


class WrongAccountError(ServiceError):
    """An account's form is wrong; ``complaints`` are English message ids."""

    def __init__(self, complaints: Collection[str]) -> None:
        super().__init__(next(iter(complaints)))
        self.complaints = list(complaints)


def methods_of(session: Session, provider_id: int) -> dict[str, PayoutMethod]:
    """Return a provider's methods by id, those that were ended too."""
    rows = session.scalars(
        select(PayoutMethod).where(PayoutMethod.provider_id == provider_id).order_by("id")
    )
    return {each.method_id: each for each in rows}


def own_method(session: Session, provider_id: int, method_id: str) -> PayoutMethod:
    """Return one of a provider's methods, locked until the commit.

    Raises:
        NotFoundError: it has never begun this one.

    """
    found = session.scalar(
        select(PayoutMethod)
        .where(PayoutMethod.provider_id == provider_id, PayoutMethod.method_id == method_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if found is None:
        raise NotFoundError(method_id)
    return found


def own_or_new(
    session: Session, provider_id: int, method_id: str, plugin: PaymentPlugin
) -> PayoutMethod:
    """Return a provider's method, locked; begun if need be, also by two at once."""
    if method_id not in methods_of(session, provider_id):
        usual = [each for each in USUAL if takes(plugin, each)]
        try:
            with session.begin_nested():
                session.add(
                    PayoutMethod(
                        provider_id=provider_id,
                        method_id=method_id,
                        account={},
                        currencies=usual,
                    )
                )
        except IntegrityError:
            pass
    return own_method(session, provider_id, method_id)


def takes(plugin: PaymentPlugin, currency: str) -> bool:
    """Whether a processor can be paid in ``currency`` at all."""
    try:
        return plugin.supports(Money(100 * 10 ** exponent(currency), currency))
    except ValueError:
        return False


def begin_connect(
    begin: Begin,
    provider_id: int,
    method_id: str,
    *,
    plugins: Plugins,
    locale: str,
    return_url: str,
    refresh_url: str,
    actor: str,
    now: datetime,
) -> str:
    """Begin, or go on with, connecting an account; return the address to send the provider to.

    Each call makes a fresh link, always for the same account until it is disconnected or
    revoked. Safe to repeat.

    Raises:
        NotFoundError: no such method runs, or it has no page to connect an account.
        ServiceError: it is connected already, or was ended meanwhile.
        PluginError: the processor refuses or gives no answer; nothing is lost by it.

    """
    plugin = plugins.get(method_id)
    if plugin is None or not plugin.connects:
        raise NotFoundError(method_id)
    with begin() as session:
        row = own_or_new(session, provider_id, method_id, plugin)
        if row.status is PayoutStatus.READY:
            raise ServiceError(N_("This is connected already. To change it, disconnect it first."))
        if row.status is PayoutStatus.REVOKED or not row.onboarding_key:
            _forget(row)
            row.onboarding_key = f"o-{secrets.token_hex(16)}"
            why = "connection begun"
            if not move(session, row, PayoutStatus.STARTED, actor=actor, why=why, now=now):
                note(session, row, old="", new="begun", actor=actor, why=why, now=now)
        row.due_at = now + ASKED_EVERY
        provider = session.get_one(Provider, provider_id)
        row_id = row.id
        request = ConnectRequest(
            key=row.onboarding_key,
            onboarding_ref=row.onboarding_ref,
            name=provider.name,
            country=provider.country,
            email=provider.email,
            locale=locale,
            return_url=return_url,
            refresh_url=refresh_url,
        )
    connection = plugin.connect(request)
    with begin() as session:
        row = _locked(session, row_id)
        if row.onboarding_key != request.key:
            raise ServiceError(N_("Somebody else of your staff has ended this meanwhile."))
        row.onboarding_ref = connection.onboarding_ref
    return connection.url


def look(begin: Begin, payout_id: int, *, plugins: Plugins, now: datetime) -> datetime | None:
    """Find out how an account stands and keep it; return when to look again.

    What comes back while the connection was ended or begun anew is thrown away. Safe to
    repeat, and by several at once.

    Raises:
        PluginError: no answer; nothing is concluded from that.

    """
    with begin() as session:
        row = session.get_one(PayoutMethod, payout_id)
        plugin = plugins.get(row.method_id)
        if plugin is None or not (row.account or row.onboarding_ref):
            return _next_due(row, None)
        if isinstance(plugin, StatementPlugin) and row.status in _NOT_BEGUN:
            return _next_due(row, None)
        seen = _identity(row)
        account, onboarding_ref = dict(row.account), row.onboarding_ref
    # A trial under a key used before would be answered with what was found then.
    key = f"t-{payout_id}-{secrets.token_hex(8)}"
    report = plugin.inspect(account, onboarding_ref, key=key)
    with begin() as session:
        row = _locked(session, payout_id)
        if _identity(row) == seen:
            _record(session, row, report, plugin, now=now)
            row.due_at = _next_due(row, now)
        return row.due_at


_NOT_BEGUN: Final = (PayoutStatus.STARTED, PayoutStatus.REVOKED)


def _record(
    session: Session,
    row: PayoutMethod,
    report: AccountReport,
    plugin: PaymentPlugin,
    *,
    now: datetime,
) -> None:
    status, todo = report.status, list(report.todo)
    learnt = dict(report.account) or dict(row.account)
    if row.account and plugin.payee_account(learnt) != plugin.payee_account(row.account):
        status, todo = PayoutStatus.LIMITED, [OTHER_ACCOUNT]
    elif learnt and not bind(session, row, learnt, plugin):
        status, todo = PayoutStatus.STARTED, [TAKEN]
    row.todo, row.tested_at = todo, now
    old = row.status
    if not move(session, row, status, actor=row.method_id, why="; ".join(todo) or "ready", now=now):
        return
    if old is PayoutStatus.READY:
        tell_people(session, "payout_stopped", row, now=now)
    elif status is PayoutStatus.READY:
        tell_people(session, "payout_ready", row, now=now)


def bind(
    session: Session, row: PayoutMethod, account: Mapping[str, str], plugin: PaymentPlugin
) -> bool:
    """Make ``account`` this provider's; False if it is another one's here.

    A bank account may serve two: whoever gives another's details is paid nothing by it.
    """
    name = "" if isinstance(plugin, StatementPlugin) else plugin.payee_account(account)
    if row.payee_account != name or not row.account:
        try:
            with session.begin_nested():
                row.payee_account = name
                session.flush()
        except IntegrityError:
            session.refresh(row)
            return False
    row.account = dict(account)
    return True


def check_typed(plugin: PaymentPlugin, account: Mapping[str, str]) -> dict[str, str]:
    """Return an account without its empty parts.

    Raises:
        WrongAccountError: it is malformed.

    """
    given = {name: value for name, value in account.items() if value}
    if complaints := plugin.check_account(given):
        raise WrongAccountError(complaints)
    return given


def type_account(
    session: Session,
    provider_id: int,
    method_id: str,
    account: Mapping[str, str],
    *,
    plugins: Plugins,
    actor: str,
    now: datetime,
) -> int:
    """Keep an account that the provider has typed in, to be tested next; return its row.

    Until the test has found it ready nobody is paid by it. The provider's contact and its
    owners are told: somebody else may have typed it.

    Raises:
        NotFoundError: no such method runs, or its accounts are not typed.
        WrongAccountError: it is malformed.
        ServiceError: it belongs to another provider.

    """
    plugin = plugins.get(method_id)
    if plugin is None or plugin.connects or isinstance(plugin, StatementPlugin):
        raise NotFoundError(method_id)
    account = check_typed(plugin, account)
    row = own_or_new(session, provider_id, method_id, plugin)
    was = row.account
    if account == was and row.status is not PayoutStatus.REVOKED:
        return row.id
    if not bind(session, row, account, plugin):
        raise ServiceError(TAKEN)
    row.onboarding_ref = row.onboarding_key = ""
    row.todo, row.tested_at, row.due_at = [], None, now
    if not move(session, row, PayoutStatus.STARTED, actor=actor, why="account typed", now=now):
        note(session, row, old="", new="account", actor=actor, why="account typed", now=now)
    if was:
        tell_people(session, "payout_account_changed", row, now=now, by=actor)
    return row.id


def set_terms(
    session: Session,
    provider_id: int,
    method_id: str,
    *,
    plugins: Plugins,
    currencies: Iterable[str],
    minimum_minor: int,
    actor: str,
    now: datetime,
) -> None:
    """Say which currencies a method takes, and from which total on (minor units; 0: any).

    Orders that are placed keep what they have.

    Raises:
        NotFoundError: the provider has no such method, or it does not run.
        ServiceError: no currency, one that cannot be paid so, or a minimum below nothing.

    """
    plugin = plugins.get(method_id)
    if plugin is None:
        raise NotFoundError(method_id)
    row = own_method(session, provider_id, method_id)
    row.currencies = read_currencies(currencies, plugin)
    row.minimum_minor = read_minimum(minimum_minor)
    why = f"{' '.join(row.currencies)} from {minimum_minor}"
    note(session, row, old="", new="terms", actor=actor, why=why, now=now)


def read_currencies(currencies: Iterable[str], plugin: PaymentPlugin) -> list[str]:
    """Return the codes without repeats.

    Raises:
        ServiceError: none, too many, or one that this method cannot be paid in.

    """
    wanted = list(dict.fromkeys(each.upper() for each in currencies))
    if not 0 < len(wanted) <= MOST_CURRENCIES:
        raise ServiceError(N_("Please name at least one currency, such as USD or EUR."))
    for each in wanted:
        if not takes(plugin, each):
            raise ServiceError(N_("This method cannot take %(currency)s."), currency=each[:8])
    return wanted


def read_minimum(minor: int) -> int:
    """Return a minimum in minor units.

    Raises:
        ServiceError: below nothing, or beyond all sense.

    """
    if not 0 <= minor < 10**9:
        raise ServiceError(N_("Please enter a smaller amount, or 0 for no minimum."))
    return minor


def disconnect(
    session: Session, provider_id: int, method_id: str, *, actor: str, now: datetime
) -> None:
    """End a method: it is offered no more, and its account is free for another connection.

    Payments that were opened go on with their copy of the account. A link to the processor
    that is still about leads to nothing. Safe to repeat.

    Raises:
        NotFoundError: the provider has never begun it.

    """
    row = own_method(session, provider_id, method_id)
    was_begun = row.status is not PayoutStatus.REVOKED
    _forget(row)
    row.next_account = row.next_from = row.due_at = None
    move(session, row, PayoutStatus.REVOKED, actor=actor, why="disconnected", now=now)
    if was_begun:
        tell_people(session, "payout_account_changed", row, now=now, by=actor)


def test_methods(
    begin: Begin, provider_id: int, *, plugins: Plugins, older_than: timedelta, now: datetime
) -> None:
    """Test all of a provider's methods that were not for ``older_than``.

    For views that put offers on sale, before their transaction. A processor that does not
    answer changes nothing. Calls outside; safe to repeat.
    """
    with begin() as session:
        stale = [
            row.id
            for row in methods_of(session, provider_id).values()
            if row.method_id in plugins
            and row.status is not PayoutStatus.REVOKED
            and (row.tested_at is None or row.tested_at <= now - older_than)
        ]
    for payout_id in stale:
        try:
            look(begin, payout_id, plugins=plugins, now=now)
        except PluginError as error:
            log.warning("payout method %s not tested: %s", payout_id, error)


def look_now(
    begin: Begin, provider_id: int, method_id: str, *, plugins: Plugins, now: datetime
) -> PayoutStatus:
    """Test one of a provider's methods, at somebody's wish or on the way back from it.

    Raises:
        NotFoundError: the provider has never begun it.
        PluginError: the processor gives no answer, or the method does not run.

    """
    with begin() as session:
        payout_id = own_method(session, provider_id, method_id).id
    if method_id not in plugins:
        raise UnavailableError(f"payment method {method_id} is not configured")
    look(begin, payout_id, plugins=plugins, now=now)
    with begin() as session:
        return own_method(session, provider_id, method_id).status


def ring_accounts(session: Session, method_id: str, refs: Collection[str], *, now: datetime) -> int:
    """Have the accounts of a processor's notice looked at now; return how many there are."""
    wanted = [ref for ref in refs if ref]
    rows = session.scalars(
        select(PayoutMethod).where(
            PayoutMethod.method_id == method_id,
            PayoutMethod.onboarding_ref.in_(wanted) | PayoutMethod.payee_account.in_(wanted),
        )
    ).all()
    for row in rows:
        row.due_at = now
    return len(rows)


def doubt(session: Session, provider_id: int, method_id: str, *, now: datetime) -> None:
    """Have a provider's account looked at now, because a payment to it was refused."""
    row = methods_of(session, provider_id).get(method_id)
    if row is not None and row.status is not PayoutStatus.REVOKED:
        row.due_at = now


def tell_people(
    session: Session, kind: str, row: PayoutMethod, *, now: datetime, **params: object
) -> None:
    """Mail the provider's contact and all its owners, each in its language."""
    provider = session.get_one(Provider, row.provider_id)
    owners = session.scalars(
        select(User).where(
            User.provider_id == provider.id, User.staff_role == StaffRole.OWNER, User.active
        )
    )
    people = {each.email: each.locale for each in owners}
    for email, locale in (people | {provider.email: provider.locale}).items():
        queue_message(
            session,
            kind,
            recipient=email,
            locale=locale,
            now=now,
            dedup=f"{kind}:{row.id}:{now.isoformat()}:{email}",
            params={"payout_id": row.id, "method_id": row.method_id, **params},
        )


def _forget(row: PayoutMethod) -> None:
    row.account = {}
    row.payee_account = row.onboarding_ref = row.onboarding_key = ""
    row.todo = []


def _identity(row: PayoutMethod) -> tuple[object, ...]:
    return row.onboarding_key, row.onboarding_ref, dict(row.account)


def _next_due(row: PayoutMethod, looked: datetime | None) -> datetime | None:
    moments = [row.next_from] if row.next_from else []
    if looked is not None:
        # What was revoked at the processor may be granted there again, or have been an error.
        seldom = row.status in (PayoutStatus.READY, PayoutStatus.REVOKED)
        moments.append(looked + (TESTED_EVERY if seldom else ASKED_EVERY))
    return min(moments, default=None)


def _locked(session: Session, payout_id: int) -> PayoutMethod:
    return session.get_one(PayoutMethod, payout_id, with_for_update=True, populate_existing=True)
