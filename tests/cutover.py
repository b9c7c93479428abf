"""Two registries in memory, one succeeding the other, and a shop that sells from the first."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from flask import Flask, g
from sqlalchemy import func, select

from cnn_offset import jobs
from cnn_offset.domain.calendar import RegistryDates
from cnn_offset.domain.status import CutoverStatus, OfferStatus, OrderStatus
from cnn_offset.domain.units import SerialRange, UnitType
from cnn_offset.extensions import db, platform, unit_of_work
from cnn_offset.models import (
    Block,
    Cancellation,
    Checkout,
    Cutover,
    Message,
    Offer,
    Order,
    Payment,
    Provider,
)
from cnn_offset.plugins.errors import RefusedError
from cnn_offset.plugins.loader import PluginSet
from cnn_offset.plugins.registries.base import BlockReport, Origin
from cnn_offset.services import checking_out, cutover, ordering, paying
from cnn_offset.services.checking import check_all
from cnn_offset.services.cutover_reading import Plan
from cnn_offset.services.cutover_steps import Outcome, Outside, Result
from cnn_offset.services.terms import keep_terms
from tests.conftest import Clock
from tests.factories import (
    make_activity,
    make_block,
    make_mapping,
    make_offer,
    make_payout,
    make_provider,
)
from tests.fakes import FakePay, FakeRegistry
from tests.services.conftest import DETAILS

OLD, NEW = "a64_interim", "a64_final"
TYPE = UnitType.A64ER_AUTHORISED


@dataclass
class FinalRegistry(FakeRegistry):
    """A registry in memory that takes over accounts of another."""

    came: dict[str, list[BlockReport]] = field(default_factory=dict)
    """What came from an account there."""

    id = "a64_final"
    title = "Final registry"

    def list_successors(self, account_ref: str) -> Iterator[BlockReport]:
        if account_ref not in self.came:
            raise RefusedError("no such account", code="unknown-account")
        yield from self.came[account_ref]


class Crashed(BaseException):
    """The process is dead."""


def dying(at: int, *, after: bool) -> Callable[[], Any]:
    """Return a ``begin`` whose process dies at its ``at``-th commit, just before or after."""
    counted, dead = itertools.count(1), [False]

    @contextmanager
    def begin() -> Iterator[Any]:
        if dead[0]:
            raise Crashed
        fatal = next(counted) == at
        with unit_of_work() as session:
            yield session
            dead[0] = fatal
            if fatal and not after:
                raise Crashed
        if fatal:
            raise Crashed

    return begin


@dataclass
class Move:
    """The shop, and levers for everything outside."""

    app: Flask
    clock: Clock
    pay: FakePay
    old: FakeRegistry
    new: FinalRegistry
    provider_id: int = 0
    numbers: Any = field(default_factory=lambda: itertools.count(1))

    # What there is before

    def block(self, size: int = 100, activity: Any = None, **values: Any) -> Block:
        """Put a block into the provider's account, mapped and mirrored."""
        provider_id = values.pop("provider_id", self.provider_id)
        activity = activity or self.activity()
        if not any(each.activity_id == activity.id for each in activity.mapped):
            activity.mapped.append(
                make_mapping(db.session.get_one(Provider, provider_id), activity)
            )
        n = next(self.numbers)
        made = make_block(
            activity,
            db.session.get_one(Provider, provider_id),
            **{
                "size": size,
                "unit_type": TYPE,
                "series": f"KE-{activity.ref}",
                "block_ref": f"I{n}",
                "commitment_period": None,
                **values,
            },
        )
        db.session.commit()
        self.old.books[made.block_ref] = self._report(made)
        return made

    def activity(self, **values: Any) -> Any:
        made: Any = make_activity(registry_id=OLD, **values)
        made.mapped = []
        return made

    def offer(self, block: Block, **values: Any) -> int:
        quantity = values.pop("quantity", block.held)
        made = make_offer(block, quantity=quantity, **values)
        db.session.flush()
        keep_terms(db.session(), made, actor="test", why="", now=self.clock())
        made_id = made.id
        db.session.commit()
        return made_id

    def _report(self, block: Block) -> BlockReport:
        return BlockReport(
            block_ref=block.block_ref,
            account_ref=block.account_ref,
            activity_ref=block.activity.ref,
            unit_type=block.unit_type,
            party=block.party,
            issued=block.issued,
            held=block.held,
            monitoring_start=block.monitoring_start,
            monitoring_end=block.monitoring_end,
            vintage=block.vintage,
            commitment_period=None,
            obstacle=None,
        )

    # What people do

    @property
    def dates(self) -> Mapping[str, RegistryDates]:
        # Each look is a request of its own.
        g.pop("conditions", None)
        return platform().dates_for_new

    def checkout(self, basket: dict[int, int]) -> int:
        with unit_of_work() as session:
            return checking_out.start_checkout(
                session,
                basket,
                locale="en",
                user_id=None,
                registry_dates=self.dates,
                hold_for=jobs.LEASE * 300,
                now=self.clock(),
            ).id

    def place(self, checkout_id: int) -> int:
        with unit_of_work() as session:
            checkout = session.get_one(Checkout, checkout_id)
            line = checkout.lines[0]
            [order] = ordering.place_orders(
                session,
                checkout,
                DETAILS,
                {(line.offer.provider_id, line.currency): "paypal"},
                plugins=platform().payments,
                registry_dates=self.dates,
                now=self.clock(),
            )
            return order.id

    def order(self, basket: dict[int, int]) -> int:
        return self.place(self.checkout(basket))

    def pays(self, order_id: int) -> None:
        """Let the purchaser pay, and have it heard."""
        with unit_of_work() as session:
            order = session.get_one(Order, order_id)
            payment_id = paying.prepare_payment(session, order, "paypal", now=self.clock()).id
        jobs.start_payment(platform(), payment_id)
        self.pay.pay(db.session.get_one(Payment, payment_id).processor_ref)
        jobs.do("payment", payment_id)

    def work(self, *, rounds: int = 4, minutes: float = 1) -> None:
        for _ in range(rounds):
            for table in ("payment", "cancellation", "order", "checkout", "registry_account"):
                kind, _work = jobs.WORK[table]
                ids = db.session.scalars(select(kind.id).where(kind.due_at <= self.clock())).all()
                for row_id in ids:
                    jobs.do(table, row_id, due_only=True)
            self.clock.tick(minutes=minutes)

    # The registries' own move

    def succeed(
        self,
        parts: Mapping[str, Sequence[int]] | None = None,
        merge: Sequence[Sequence[str]] = (),
        changes: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> list[BlockReport]:
        """Let all units pass into the new registry; ``changes`` of the reports by old block."""
        db.session.expire_all()
        blocks = {
            each.block_ref: each
            for each in db.session.scalars(
                select(Block).where(Block.registry_id == OLD, Block.held > 0).order_by(Block.id)
            )
        }
        made = []
        joined = [[blocks.pop(ref) for ref in refs] for refs in merge]
        for group in [*joined, *([each] for each in blocks.values())]:
            ref = group[0].block_ref
            left = [(each, self._first_left(each), self.old.left(each.block_ref)) for each in group]
            sizes = (parts or {}).get(ref) or [sum(units for _, _, units in left)]
            queue: list[Any] = [[each, first, units] for each, first, units in left]
            for size in sizes:
                origins, wanted = [], size
                while wanted:
                    each, first, units = queue[0]
                    takes = min(units, wanted)
                    origins.append(Origin(each.block_ref, _span(each.series, first, takes)))
                    queue[0] = [each, first + takes, units - takes]
                    wanted -= takes
                    if queue[0][2] == 0:
                        queue.pop(0)
                made.append(self._issue(group[0], origins, size, (changes or {}).get(ref, {})))
        for ref in self.old.books:
            self.old.take(ref, self.old.left(ref))
        db.session.rollback()
        return made

    def _first_left(self, block: Block) -> int:
        return self.old.next_free.get(block.block_ref, block.first)

    def _issue(
        self, block: Block, origins: list[Origin], size: int, changes: Mapping[str, Any]
    ) -> BlockReport:
        n = next(self.numbers)
        report = replace(
            self._report(block),
            block_ref=f"F{n}",
            account_ref=f"FIN-{block.account_ref}",
            activity_ref=f"A64-{block.activity.ref}",
            issued=_span(f"KE-A64-{block.activity.ref}", n * 10_000, size),
            held=size,
            origins=tuple(origins),
        )
        report = replace(report, **changes)
        self.new.books[report.block_ref] = report
        self.new.came.setdefault(block.account_ref, []).append(report)
        return report

    # The cut-over

    @property
    def outside(self) -> Outside:
        g.pop("conditions", None)
        here = platform()
        return Outside(here.registries, here.registry_dates, self.clock, self.findings)

    def plan(self) -> Plan:
        return cutover.plan(unit_of_work, OLD, NEW, self.outside)

    def freeze(self) -> None:
        cutover.freeze(unit_of_work, OLD, NEW, self.outside, actor="op")
        g.pop("conditions", None)

    def go(self, begin: Any = unit_of_work) -> Result:
        """Begin and wait, as an operator does, until it is done or refused."""
        for _ in range(10):
            result = cutover.go(begin, OLD, NEW, self.outside, actor="op")
            if result.outcome is not Outcome.WAITS:
                return result
            self.work(rounds=1, minutes=0.5)
        return result

    @property
    def status(self) -> CutoverStatus:
        db.session.rollback()
        return db.session.scalars(select(Cutover.status).order_by(Cutover.id.desc())).first()  # type: ignore[return-value]

    # How things stand

    def findings(self) -> list[str]:
        db.session.rollback()
        return check_all(db.session(), platform().files)

    def get(self, kind: Any, row_id: int) -> Any:
        db.session.rollback()
        return db.session.get_one(kind, row_id, populate_existing=True)

    def order_status(self, order_id: int) -> OrderStatus:
        status: OrderStatus = self.get(Order, order_id).status
        return status

    def mails(self, kind: str) -> list[int | None]:
        db.session.rollback()
        return list(
            db.session.scalars(
                select(Message.order_id).where(Message.kind == kind).order_by(Message.order_id)
            )
        )

    def open_offers(self, registry_id: str) -> list[tuple[str, int, int, int]]:
        """List block, quantity, held and cancelled of the open offers of a registry."""
        db.session.rollback()
        rows = db.session.execute(
            select(Block.block_ref, Offer.quantity, Offer.held, Offer.cancelled)
            .join(Block, Block.id == Offer.block_id)
            .where(Block.registry_id == registry_id, Offer.status == OfferStatus.OPEN)
            .order_by(Block.id, Offer.id)
        )
        return [tuple(row) for row in rows]  # type: ignore[misc]

    def held(self, registry_id: str) -> int:
        db.session.rollback()
        total = db.session.scalar(
            select(func.sum(Block.held)).where(Block.registry_id == registry_id)
        )
        return int(total or 0)

    def cancelled(self) -> list[tuple[str, int]]:
        """List registry and units of all cancellations."""
        db.session.rollback()
        rows = db.session.execute(
            select(Cancellation.registry_id, Cancellation.quantity).order_by(Cancellation.id)
        )
        return [tuple(row) for row in rows]  # type: ignore[misc]


def _span(series: str, first: int, size: int) -> SerialRange:
    last = first + size - 1
    return SerialRange(series, first, last, f"{series}-{first}", f"{series}-{last}")


def make_move(app: Flask, clock: Clock) -> Move:
    """Make the shop in an application's context."""

    def serials(block_ref: str) -> SerialRange:
        return db.session.scalars(select(Block).where(Block.block_ref == block_ref)).one().issued

    pay, old, new = FakePay(clock), FakeRegistry(clock, serials), FinalRegistry(clock, serials)
    here = app.extensions["cnn_offset"]
    app.extensions["cnn_offset"] = replace(
        here,
        payments=PluginSet({"paypal": pay}),
        registries=PluginSet({OLD: old, NEW: new}),
    )
    provider = make_provider()
    make_payout(provider, "paypal")
    made = Move(app, clock, pay, old, new, provider.id)
    db.session.commit()
    return made
