"""The connector to the final Article 6.4 registry: cursors, and operations that take time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from typing import ClassVar, Final, Literal

from pydantic import AwareDatetime, Field

from cnn_offset.domain.text import N_
from cnn_offset.domain.units import Obstacle, SerialError, SerialRange, UnitType
from cnn_offset.plugins.errors import OutcomeUnknownError, RefusedError
from cnn_offset.plugins.registries._http import (
    ConnectionSettings,
    Pace,
    Wire,
    call,
    every_block,
    read_list,
)
from cnn_offset.plugins.registries.base import (
    BlockPage,
    BlockReport,
    CancellationEntry,
    CancellationPage,
    CancellationReport,
    CancellationRequest,
    OddBlock,
    Origin,
    RegistryConnector,
    ReportStatus,
)
from cnn_offset.plugins.settings import PluginSettings

PAGE: Final = 200
"""How many cancellations are asked for at once; the registry may list fewer."""
_UNIT_TYPES = {"AER": UnitType.A64ER_AUTHORISED, "MCU": UnitType.A64ER_CONTRIBUTION}


class _Meta(Wire):
    clock: AwareDatetime


class _Range(Wire):
    series: str
    start: int = Field(alias="from")
    end: int = Field(alias="to")
    start_id: str = Field(alias="from_id")
    end_id: str = Field(alias="to_id")


class _Activity(Wire):
    reference: str
    host_party: str


class _Period(Wire):
    start: date = Field(alias="from")
    end: date = Field(alias="to")


class _Origin(_Range):
    holding: str


class _Holding(Wire):
    id: str
    account: str
    activity: _Activity
    unit: Literal["AER", "MCU"]
    issued: _Range
    balance: int
    monitoring: _Period
    vintage: int
    cancellable: bool
    blocked_by: str | None
    origins: Sequence[_Origin] = ()
    """Holdings of the registry before this one, if they were asked for."""


class _HoldingPage(Wire):
    meta: _Meta
    items: Sequence[_Holding]
    next: str | None
    gone: Sequence[str] | None = None


class _Result(Wire):
    transaction: str
    executed_at: AwareDatetime
    ranges: Sequence[_Range]


class _Problem(Wire):
    code: str
    title: str


class _Operation(Wire):
    id: str
    key: str
    state: Literal["pending", "succeeded", "failed"]
    result: _Result | None = None
    problem: _Problem | None = None


class _Accepted(Wire):
    meta: _Meta
    operation: _Operation


class _Operations(Wire):
    meta: _Meta
    key: str
    items: Sequence[_Operation]


class _Listed(Wire):
    transaction: str
    key: str | None
    account: str
    holding: str
    executed_at: AwareDatetime
    ranges: Sequence[_Range]


class _ListedPage(Wire):
    meta: _Meta
    items: Sequence[_Listed]
    cursor: str
    more: bool


class _Refusal(_Problem):
    meta: _Meta


class A64FinalConnector(RegistryConnector):
    """The final Article 6.4 registry.

    It accepts a cancellation first and does it later, so a refusal for want of units
    comes only by ``fetch``.
    """

    id = "a64_final"
    title = N_("Article 6.4 mechanism registry")
    Settings: ClassVar[type[PluginSettings]] = ConnectionSettings
    settings: ConnectionSettings

    def __init__(self, settings: PluginSettings) -> None:
        super().__init__(settings)
        self._pace = Pace(self.settings.lists_per_second)

    @property
    def deduplicates(self) -> bool:
        """As configured."""
        return self.settings.deduplicates

    @property
    def settle(self) -> timedelta:
        """As configured."""
        return timedelta(seconds=self.settings.settle_seconds)

    def list_blocks(self, account_ref: str) -> Iterator[BlockReport]:
        """List the holdings of one account, following the cursor.

        Raises:
            RefusedError: there is no such account, or it is not for us.

        """
        yield from every_block(self.page_blocks, account_ref)

    def page_blocks(
        self, account_ref: str, cursor: str = "", *, changed_since: datetime | None = None
    ) -> BlockPage:
        """List one page of an account's holdings.

        Raises:
            RefusedError: there is no such account, or it is not for us.

        """
        params = {"account": account_ref}
        if cursor:
            params["cursor"] = cursor
        if changed_since is not None:
            params["changed_since"] = changed_since.isoformat()
        answer = read_list(self._pace, self.settings, "/api/holdings", params)
        if not answer.is_yes:
            refusal = answer.read(_Refusal)
            raise RefusedError(refusal.title, code=refusal.code)
        page = answer.read(_HoldingPage)
        blocks, odd = [], []
        for holding in page.items:
            if holding.account != account_ref:
                raise OutcomeUnknownError(f"holding {holding.id}: another account")
            try:
                blocks.append(_block(holding))
            except OutcomeUnknownError as error:
                odd.append(OddBlock(holding.id, str(error)))
        # One that passes over what it does not know has not said what left the account.
        tells = changed_since is None or page.gone is not None
        return BlockPage(
            blocks,
            cursor=page.next or "",
            more=page.next is not None,
            registry_time=page.meta.clock if tells else None,
            gone=page.gone or (),
            odd=odd,
        )

    def list_cancellations(self, cursor: str) -> CancellationPage:
        """List completed cancellations of all channels, from a cursor on.

        Raises:
            RefusedError: the registry does not know the cursor.

        """
        params = {"limit": str(PAGE), **({"after": cursor} if cursor else {})}
        answer = read_list(self._pace, self.settings, "/api/cancellations", params)
        if not answer.is_yes:
            refusal = answer.read(_Refusal)
            raise RefusedError(refusal.title, code=refusal.code)
        page = answer.read(_ListedPage)
        if page.more and page.cursor == cursor:
            raise OutcomeUnknownError("pages that go round in a circle")
        return CancellationPage(
            entries=[
                CancellationEntry(
                    registry_ref=each.transaction,
                    key=each.key or "",
                    account_ref=each.account,
                    block_ref=each.holding,
                    ranges=[_range(wire) for wire in each.ranges],
                    completed_at=each.executed_at,
                )
                for each in page.items
            ],
            cursor=page.cursor,
            more=page.more,
            registry_time=page.meta.clock,
        )

    def list_successors(self, account_ref: str) -> Iterator[BlockReport]:
        """List the holdings that came from an account of the interim registry, with origins.

        Raises:
            RefusedError: nothing has come from such an account, or it is not for us.

        """
        cursor, seen = "", {""}
        while True:
            params = {"former_account": account_ref, **({"cursor": cursor} if cursor else {})}
            answer = read_list(self._pace, self.settings, "/api/holdings", params)
            if not answer.is_yes:
                refusal = answer.read(_Refusal)
                raise RefusedError(refusal.title, code=refusal.code)
            page = answer.read(_HoldingPage)
            yield from map(_block, page.items)
            if page.next is None:
                return
            if page.next in seen:
                raise OutcomeUnknownError("pages that go round in a circle")
            cursor = page.next
            seen.add(cursor)

    def cancel(self, request: CancellationRequest) -> CancellationReport:
        """Ask the registry to cancel, once; it mostly answers ``accepted``."""
        answer = call(
            self.settings,
            "POST",
            "/api/cancellation-requests",
            headers={"Idempotency-Key": request.key},
            json={
                "holding": request.block_ref,
                "account": request.account_ref,
                "amount": request.quantity,
                "on_behalf_of": request.beneficiary,
                "purpose": request.reason,
            },
        )
        if answer.status == 409:
            # It knows the key for another request; what became of that one must be looked up.
            raise OutcomeUnknownError("the registry knows the key already")
        if not answer.is_yes:
            refusal = answer.read(_Refusal)
            return CancellationReport(
                ReportStatus.REFUSED, refusal.meta.clock, reason=refusal.title
            )
        accepted = answer.read(_Accepted)
        return _report(request.key, [accepted.operation], accepted.meta)

    def fetch(self, key: str) -> CancellationReport:
        """Ask what became of a key.

        If the registry has cancelled twice under it, all ranges are reported, so that the
        core sees more than it ordered.
        """
        answer = call(self.settings, "GET", "/api/operations", params={"key": key})
        if not answer.is_yes:
            raise OutcomeUnknownError(f"answer {answer.status} to a look-up")
        found = answer.read(_Operations)
        if found.key != key:
            raise OutcomeUnknownError("an answer about another key")
        if not found.items:
            return CancellationReport(ReportStatus.NOT_KNOWN, found.meta.clock)
        return _report(key, found.items, found.meta)


def _report(key: str, operations: Sequence[_Operation], meta: _Meta) -> CancellationReport:
    if any(each.key != key for each in operations):
        raise OutcomeUnknownError("an answer about another key")
    if any(each.state == "pending" for each in operations):
        return CancellationReport(ReportStatus.ACCEPTED, meta.clock)
    done = [each.result for each in operations if each.state == "succeeded"]
    results = [each for each in done if each is not None]
    if len(results) != len(done):
        raise OutcomeUnknownError("a success without a result")
    if results:
        return CancellationReport(
            status=ReportStatus.CONFIRMED,
            registry_time=meta.clock,
            registry_ref=", ".join(each.transaction for each in results),
            ranges=[_range(each) for result in results for each in result.ranges],
            completed_at=max(each.executed_at for each in results),
        )
    problem = operations[-1].problem
    return CancellationReport(
        ReportStatus.REFUSED, meta.clock, reason=problem.title if problem else ""
    )


def _block(holding: _Holding) -> BlockReport:
    return BlockReport(
        block_ref=holding.id,
        account_ref=holding.account,
        activity_ref=holding.activity.reference,
        unit_type=_UNIT_TYPES[holding.unit],
        party=holding.activity.host_party,
        issued=_range(holding.issued),
        held=holding.balance,
        monitoring_start=holding.monitoring.start,
        monitoring_end=holding.monitoring.end,
        vintage=holding.vintage,
        commitment_period=None,
        obstacle=_obstacle(holding),
        origins=tuple(Origin(each.holding, _range(each)) for each in holding.origins),
    )


_OBSTACLES = {
    "sop-unpaid": Obstacle.PROCEEDS_UNPAID,
    "sop-partly-paid": Obstacle.PROCEEDS_PARTLY,
    "account-type": Obstacle.ACCOUNT_KIND,
}


def _obstacle(holding: _Holding) -> Obstacle | None:
    """A reason that is not among these is a no that nobody has explained to us."""
    if holding.cancellable and not holding.blocked_by:
        return None
    return _OBSTACLES.get(holding.blocked_by or "", Obstacle.REFUSED)


def _range(wire: _Range) -> SerialRange:
    try:
        return SerialRange(wire.series, wire.start, wire.end, wire.start_id, wire.end_id)
    except SerialError as error:
        raise OutcomeUnknownError(f"serial numbers that make no sense: {error}") from None
