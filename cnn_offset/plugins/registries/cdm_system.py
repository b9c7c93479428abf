"""The system that runs the CDM registry and the interim Article 6.4 registry.

Both have one interface (domain-facts.md 3.4): numbered pages, and cancellations that are
done when they are answered. They differ in unit types and in how serial numbers are written.
"""

from __future__ import annotations

import abc
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import ClassVar, Final, Literal
from urllib.parse import quote

from pydantic import AwareDatetime

from cnn_offset.domain.units import Obstacle, SerialError, SerialRange, UnitType
from cnn_offset.plugins.errors import OutcomeUnknownError, RefusedError
from cnn_offset.plugins.registries._http import (
    Answer,
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
    RegistryConnector,
    ReportStatus,
)
from cnn_offset.plugins.settings import PluginSettings

PAGE: Final = 200
"""How many cancellations are asked for at once; the registry may list fewer."""


class Units(Wire):
    """A run of units as this system writes it."""

    series: str
    start: int
    end: int
    startSerial: str  # noqa: N815 - the registry's names
    endSerial: str  # noqa: N815


class _Block(Wire):
    blockId: str  # noqa: N815
    accountId: str  # noqa: N815
    activityRef: str  # noqa: N815
    unitType: str  # noqa: N815
    party: str
    commitmentPeriod: int | None  # noqa: N815
    units: Units
    held: int
    monitoringStart: date  # noqa: N815
    monitoringEnd: date  # noqa: N815
    vintage: int
    accountType: str  # noqa: N815
    shareOfProceeds: str  # noqa: N815
    expiresOn: date | None = None  # noqa: N815


class _BlockPage(Wire):
    serverTime: AwareDatetime  # noqa: N815
    page: int
    pages: int
    blocks: Sequence[_Block]
    removed: Sequence[str] | None = None


class _Cancellation(Wire):
    transactionId: str  # noqa: N815
    status: Literal["Completed"]
    clientReference: str  # noqa: N815
    completedAt: AwareDatetime  # noqa: N815
    segments: Sequence[Units]


class _Cancelled(Wire):
    serverTime: AwareDatetime  # noqa: N815
    cancellation: _Cancellation


class _Found(Wire):
    serverTime: AwareDatetime  # noqa: N815
    clientReference: str  # noqa: N815
    cancellations: Sequence[_Cancellation]


class _Listed(_Cancellation):
    clientReference: str | None  # type: ignore[assignment]  # noqa: N815
    accountId: str  # noqa: N815
    blockId: str  # noqa: N815


class _CancellationPage(Wire):
    serverTime: AwareDatetime  # noqa: N815
    cancellations: Sequence[_Listed]
    next: str
    more: bool


class _Error(Wire):
    code: str
    message: str


class _Refusal(Wire):
    serverTime: AwareDatetime  # noqa: N815
    error: _Error


class CdmSystemConnector(RegistryConnector, abc.ABC):
    """What the two registries of this system have in common."""

    Settings: ClassVar[type[PluginSettings]] = ConnectionSettings
    unit_types: ClassVar[Mapping[str, UnitType]]
    """By the registry's own names."""
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

    @staticmethod
    @abc.abstractmethod
    def serial_range(units: Units) -> SerialRange:
        """Read a run of units.

        Raises:
            SerialError: it contradicts itself.

        """

    @staticmethod
    def is_of(units: Units, activity_ref: str) -> bool:  # noqa: ARG004 - what is opaque says nothing
        """Whether serial numbers, as far as they tell, are of an activity."""
        return True

    def list_blocks(self, account_ref: str) -> Iterator[BlockReport]:
        """List the blocks of one account, page after page.

        Raises:
            RefusedError: there is no such account, or it is not for us.

        """
        yield from every_block(self.page_blocks, account_ref)

    def page_blocks(
        self, account_ref: str, cursor: str = "", *, changed_since: datetime | None = None
    ) -> BlockPage:
        """List one page of an account's blocks; the cursor is the page's number.

        Raises:
            RefusedError: there is no such account, or it is not for us.

        """
        number = int(cursor or "1")
        since = {} if changed_since is None else {"changedSince": changed_since.isoformat()}
        path = f"/api/v1/accounts/{quote(account_ref, safe='')}/blocks"
        answer = read_list(self._pace, self.settings, path, {"page": str(number), **since})
        if not answer.is_yes:
            refusal = answer.read(_Refusal)
            raise RefusedError(refusal.error.message, code=refusal.error.code)
        page = answer.read(_BlockPage)
        if page.page != number:
            raise OutcomeUnknownError(f"page {page.page} in answer to page {number}")
        blocks, odd = [], []
        for block in page.blocks:
            if block.accountId != account_ref:
                raise OutcomeUnknownError(f"block {block.blockId}: another account")
            try:
                blocks.append(self._block(block))
            except OutcomeUnknownError as error:
                odd.append(OddBlock(block.blockId, str(error)))
        # One that passes over what it does not know has listed everything, and what has
        # left the account it has not said.
        tells = changed_since is None or page.removed is not None
        return BlockPage(
            blocks,
            cursor=str(number + 1),
            more=number < page.pages,
            registry_time=page.serverTime if tells else None,
            gone=page.removed or (),
            odd=odd,
        )

    def list_cancellations(self, cursor: str) -> CancellationPage:
        """List completed cancellations of all channels, from a cursor on.

        Raises:
            RefusedError: the registry does not know the cursor.

        """
        answer = read_list(
            self._pace,
            self.settings,
            "/api/v1/cancellations",
            {"after": cursor, "limit": str(PAGE)},
        )
        if not answer.is_yes:
            refusal = answer.read(_Refusal)
            raise RefusedError(refusal.error.message, code=refusal.error.code)
        page = answer.read(_CancellationPage)
        if page.more and page.next == cursor:
            raise OutcomeUnknownError("pages that go round in a circle")
        return CancellationPage(
            entries=[
                CancellationEntry(
                    registry_ref=each.transactionId,
                    key=each.clientReference or "",
                    account_ref=each.accountId,
                    block_ref=each.blockId,
                    ranges=[self._range(units) for units in each.segments],
                    completed_at=each.completedAt,
                )
                for each in page.cancellations
            ],
            cursor=page.next,
            more=page.more,
            registry_time=page.serverTime,
        )

    def cancel(self, request: CancellationRequest) -> CancellationReport:
        """Ask the registry to cancel, once."""
        answer = call(
            self.settings,
            "POST",
            "/api/v1/cancellations",
            json={
                "clientReference": request.key,
                "accountId": request.account_ref,
                "blockId": request.block_ref,
                "quantity": request.quantity,
                "beneficiary": request.beneficiary,
                "purpose": request.reason,
            },
        )
        if not answer.is_yes:
            return _refused(answer)
        done = answer.read(_Cancelled)
        return self._confirmed(request.key, [done.cancellation], done)

    def fetch(self, key: str) -> CancellationReport:
        """Ask what became of a key.

        If the registry has cancelled twice under it, all ranges are reported, so that the
        core sees more than it ordered.
        """
        answer = call(
            self.settings, "GET", "/api/v1/cancellations", params={"clientReference": key}
        )
        if not answer.is_yes:
            raise OutcomeUnknownError(f"answer {answer.status} to a look-up")
        found = answer.read(_Found)
        if found.clientReference != key:
            raise OutcomeUnknownError("an answer about another key")
        if not found.cancellations:
            return CancellationReport(ReportStatus.NOT_KNOWN, found.serverTime)
        return self._confirmed(key, found.cancellations, found)

    def _confirmed(
        self, key: str, done: Sequence[_Cancellation], answer: _Cancelled | _Found
    ) -> CancellationReport:
        if any(each.clientReference != key for each in done):
            raise OutcomeUnknownError("an answer about another key")
        return CancellationReport(
            status=ReportStatus.CONFIRMED,
            registry_time=answer.serverTime,
            registry_ref=", ".join(each.transactionId for each in done),
            ranges=[self._range(units) for each in done for units in each.segments],
            completed_at=max(each.completedAt for each in done),
        )

    def _block(self, block: _Block) -> BlockReport:
        if block.unitType not in self.unit_types:
            raise OutcomeUnknownError(f"a unit type that nobody knows: {block.unitType}")
        if not self.is_of(block.units, block.activityRef):
            raise OutcomeUnknownError(
                f"serial numbers {block.units.startSerial} are not of {block.activityRef}"
            )
        return BlockReport(
            block_ref=block.blockId,
            account_ref=block.accountId,
            activity_ref=block.activityRef,
            unit_type=self.unit_types[block.unitType],
            party=block.party,
            issued=self._range(block.units),
            held=block.held,
            monitoring_start=block.monitoringStart,
            monitoring_end=block.monitoringEnd,
            vintage=block.vintage,
            commitment_period=block.commitmentPeriod,
            obstacle=_obstacle(block),
            expires_on=block.expiresOn,
        )

    def _range(self, units: Units) -> SerialRange:
        try:
            return self.serial_range(units)
        except SerialError as error:
            raise OutcomeUnknownError(f"serial numbers that make no sense: {error}") from None


_PROCEEDS = {
    "PAID": None,
    "PARTLY_PAID": Obstacle.PROCEEDS_PARTLY,
    "UNPAID": Obstacle.PROCEEDS_UNPAID,
}
_ACCOUNT_TYPES = {
    "PENDING": None,
    "HOLDING": None,
    "TEMPORARY_HOLDING": Obstacle.ACCOUNT_KIND,
    "ANNEX_I": Obstacle.ANNEX_I,
}


def _obstacle(block: _Block) -> Obstacle | None:
    """A word that is not among these is a no that nobody has explained to us."""
    return _ACCOUNT_TYPES.get(block.accountType, Obstacle.REFUSED) or _PROCEEDS.get(
        block.shareOfProceeds, Obstacle.REFUSED
    )


def _refused(answer: Answer) -> CancellationReport:
    if answer.status == 409:
        # It knows the key for another request; what became of that one must be looked up.
        raise OutcomeUnknownError("the registry knows the key already")
    refusal = answer.read(_Refusal)
    return CancellationReport(
        ReportStatus.REFUSED, refusal.serverTime, reason=refusal.error.message
    )
