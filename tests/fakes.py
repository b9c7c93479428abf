"""Plug-ins in memory, for stories in which the outside misbehaves to order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta

from cnn_offset.domain.money import Money
from cnn_offset.domain.payment import Fact, FactKind, FactStatus
from cnn_offset.domain.units import SerialRange, UnitType
from cnn_offset.plugins.errors import ForgedError, OutcomeUnknownError, PluginError
from cnn_offset.plugins.payments.base import (
    Delivery,
    Notice,
    Payee,
    PaymentRequest,
    ProcessorPlugin,
    Redirect,
)
from cnn_offset.plugins.registries.base import (
    BlockReport,
    CancellationEntry,
    CancellationPage,
    CancellationReport,
    CancellationRequest,
    RegistryConnector,
    ReportStatus,
)
from cnn_offset.plugins.settings import PluginSettings

DONE = FactStatus.DONE


class FakePay(ProcessorPlugin):
    """A processor in memory. ``facts`` holds what it will say, by its own reference."""

    id = "paypal"
    title = "Fake"
    account_fields = ()
    has_webhook = True
    slowest = timedelta(days=10)
    due_within = timedelta(days=3)

    def __init__(self, clock: Callable[[], datetime]) -> None:
        super().__init__(PluginSettings())
        self.clock = clock
        self.fees = False
        """Whether it can set aside what the platform charges."""
        self.requests: dict[str, PaymentRequest] = {}
        self.facts: dict[str, list[Fact]] = {}
        self.closed: set[str] = set()
        self.approved: set[str] = set()
        self.captures: list[str] = []
        self.failures: list[PluginError] = []
        self.failures_after: list[PluginError] = []
        self.refunds: dict[str, Money] = {}
        self.fees_back: dict[str, Money | None] = {}
        self.refunds_asked: list[tuple[str, Money, Money | None]] = []
        self.refund_status = DONE

    def _fail(self) -> None:
        if self.failures:
            raise self.failures.pop(0)

    def payee_account(self, payee: Payee) -> str:
        return payee["merchant_id"]

    def takes_fee(self, fee: Money, payee: Payee) -> bool:
        return self.fees

    def start(self, request: PaymentRequest) -> Redirect:
        self._fail()
        ref = f"R-{request.key}"
        self.requests[ref] = request
        return Redirect(ref, f"http://pay.test/{ref}")

    def pay(self, ref: str, amount: Money | None = None, /, **changes: object) -> None:
        request = self.requests[ref]
        fact = Fact(
            FactKind.PAYMENT,
            f"cap-{ref}-{len(self.facts.get(ref, ()))}",
            DONE,
            amount or request.amount,
            self.payee_account(request.payee),
            self.clock(),
            platform=request.fee,
        )
        self.facts.setdefault(ref, []).append(replace(fact, **changes))  # type: ignore[arg-type]

    def fetch(
        self, payee: Payee, processor_ref: str, *, key: str, may_capture: bool
    ) -> Sequence[Fact]:
        self._fail()
        if processor_ref in self.approved and may_capture and not self.facts.get(processor_ref):
            self.captures.append(processor_ref)
            self.pay(processor_ref)
        if processor_ref in self.closed and not self.facts.get(processor_ref):
            return [
                Fact(
                    FactKind.PAYMENT, processor_ref, FactStatus.ABANDONED, None, None, self.clock()
                )
            ]
        return list(self.facts.get(processor_ref, ()))

    def abandon(self, payee: Payee, processor_ref: str, *, key: str) -> Sequence[Fact]:
        self._fail()
        if not self.facts.get(processor_ref):
            self.closed.add(processor_ref)
        return self.fetch(payee, processor_ref, key=key, may_capture=False)

    def refund(
        self,
        payee: Payee,
        processor_ref: str,
        amount: Money,
        *,
        key: str,
        fee: Money | None = None,
    ) -> Sequence[Fact]:
        """Give back once for a key. ``failures_after`` are raised once it is done."""
        self._fail()
        self.refunds_asked.append((key, amount, fee))
        if key not in self.refunds:
            self.refunds[key] = amount
            self.fees_back[key] = fee
            fact = Fact(
                FactKind.REFUND,
                f"back-{key}",
                self.refund_status,
                amount,
                None,
                self.clock(),
                platform=fee,
            )
            self.facts.setdefault(processor_ref, []).append(fact)
        if self.failures_after:
            raise self.failures_after.pop(0)
        return list(self.facts[processor_ref])

    def read_webhook(self, delivery: Delivery) -> Notice:
        if delivery.headers.get("x-signature") != "good":
            raise ForgedError("no signature")
        event_id, _, ref = delivery.body.decode().partition(" ")
        return Notice(event_id, [ref])


@dataclass
class _Entry:
    request: CancellationRequest
    report: CancellationReport


@dataclass
class FakeRegistry(RegistryConnector):
    """A registry in memory with endless blocks, but for those in ``books``.
    ``faults`` are taken one a call to cancel:
    ``before``, ``after``, ``refuse``, ``fewer``, ``other``, ``accept``, and ``late``: acts
    twenty minutes after its caller has given up."""

    clock: Callable[[], datetime]
    serials: Callable[[str], SerialRange]
    """The whole range of a block, by its reference."""
    safe: bool = True
    faults: list[str] = field(default_factory=list)
    blind: int = 0
    """So many look-ups answer that the key is not known."""
    entries: list[_Entry] = field(default_factory=list)
    next_free: dict[str, int] = field(default_factory=dict)
    sent: list[str] = field(default_factory=list)
    delayed: list[tuple[datetime, CancellationRequest]] = field(default_factory=list)
    books: dict[str, BlockReport] = field(default_factory=dict)
    """What lies in accounts, by the block's reference; ``held`` before our cancellations."""
    silent: int = 0
    """So many listings break off after their first block."""
    meanwhile: Callable[[], None] = lambda: None
    """Called while an account is listed, after its first block."""
    others: list[CancellationEntry] = field(default_factory=list)
    """Cancellations by other channels, listed behind ours."""
    listed_at_once: int = 100
    """How many cancellations a page of its list has."""

    id = "cdm"
    title = "Fake registry"

    @property
    def deduplicates(self) -> bool:
        return self.safe

    @property
    def settle(self) -> timedelta:
        return timedelta(minutes=30)

    def list_blocks(self, account_ref: str) -> Iterator[BlockReport]:
        self._catch_up()
        for ref, report in list(self.books.items()):
            if report.account_ref != account_ref or ref not in self.books:
                continue
            yield replace(self.books[ref], held=self.left(ref))
            if self.silent:
                self.silent -= 1
                raise OutcomeUnknownError("time-out")
            self.meanwhile()

    def left(self, block_ref: str) -> int:
        """Count the units of a block that are really left."""
        ours = sum(
            each.request.quantity for each in self.entries if each.request.block_ref == block_ref
        )
        return self.books[block_ref].held - ours

    def issue(self, account_ref: str, activity_ref: str, block: SerialRange, ref: str) -> None:
        """Put a block into an account."""
        self.books[ref] = BlockReport(
            block_ref=ref,
            account_ref=account_ref,
            activity_ref=activity_ref,
            unit_type=UnitType.CER,
            party="KE",
            issued=block,
            held=block.quantity,
            monitoring_start=date(2014, 1, 1),
            monitoring_end=date(2014, 12, 31),
            vintage=2014,
            commitment_period=2,
            obstacle=None,
        )

    def take(self, block_ref: str, units: int) -> None:
        """Let units leave an account by another channel."""
        report = self.books[block_ref]
        self.books[block_ref] = replace(report, held=report.held - units)

    def list_cancellations(self, cursor: str) -> CancellationPage:
        self._catch_up()
        known = [
            CancellationEntry(
                registry_ref=each.report.registry_ref,
                key=each.request.key,
                account_ref=each.request.account_ref,
                block_ref=each.request.block_ref,
                ranges=each.report.ranges,
                completed_at=each.report.completed_at or self.clock(),
            )
            for each in self.entries
        ] + self.others
        # Stable while they are made by turns too: by when they were done.
        known.sort(key=lambda each: each.completed_at)
        start = int(cursor or "0")
        page = known[start : start + self.listed_at_once]
        end = start + len(page)
        return CancellationPage(page, str(end), end < len(known), self.clock())

    def units(self) -> int:
        return sum(each.request.quantity for each in self.entries)

    def cancel(self, request: CancellationRequest) -> CancellationReport:
        self._catch_up()
        self.sent.append(request.key)
        fault = self.faults.pop(0) if self.faults else ""
        if fault == "before":
            raise OutcomeUnknownError("time-out")
        if fault == "late":
            self.delayed.append((self.clock() + timedelta(minutes=20), request))
            raise OutcomeUnknownError("time-out")
        if fault == "refuse":
            return CancellationReport(ReportStatus.REFUSED, self.clock(), reason="no")
        known = self._known(request.key)
        listed = request.block_ref in self.books
        if known is None and listed and self.left(request.block_ref) < request.quantity:
            return CancellationReport(ReportStatus.REFUSED, self.clock(), reason="too few")
        if known is None or not self.safe:
            known = self._act(request, fault)
        if fault == "after":
            raise OutcomeUnknownError("time-out")
        if fault == "accept":
            return CancellationReport(ReportStatus.ACCEPTED, self.clock())
        return known.report

    def _catch_up(self) -> None:
        for due, request in list(self.delayed):
            if due <= self.clock():
                self.delayed.remove((due, request))
                if self._known(request.key) is None or not self.safe:
                    self._act(request, "")

    def _act(self, request: CancellationRequest, fault: str) -> _Entry:
        block = self.serials(request.block_ref)
        first = self.next_free.get(request.block_ref, block.first)
        last = first + request.quantity - 1 - (fault == "fewer")
        if fault == "other":
            first, last = block.last + 1, block.last + request.quantity
        else:
            self.next_free[request.block_ref] = last + 1
        report = CancellationReport(
            ReportStatus.CONFIRMED,
            self.clock(),
            registry_ref=f"T-{len(self.entries) + 1}",
            ranges=[
                SerialRange(
                    block.series, first, last, f"{block.series}-{first}", f"{block.series}-{last}"
                )
            ],
            completed_at=self.clock(),
        )
        entry = _Entry(request, report)
        self.entries.append(entry)
        return entry

    def _known(self, key: str) -> _Entry | None:
        return next((each for each in self.entries if each.request.key == key), None)

    def fetch(self, key: str) -> CancellationReport:
        self._catch_up()
        if self.blind:
            self.blind -= 1
            return CancellationReport(ReportStatus.NOT_KNOWN, self.clock())
        known = self._known(key)
        if known is None:
            return CancellationReport(ReportStatus.NOT_KNOWN, self.clock())
        return replace(known.report, registry_time=self.clock())
