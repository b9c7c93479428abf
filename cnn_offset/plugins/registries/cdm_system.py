"""The system that runs the CDM registry and the interim Article 6.4 registry.

Both have one interface (domain-facts.md 3.4): numbered pages, and cancellations that are
done when they are answered. They differ in unit types and in how serial numbers are written.
"""

from __future__ import annotations

import abc
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import ClassVar, Literal
from urllib.parse import quote

from pydantic import AwareDatetime

from cnn_offset.domain.units import Obstacle, SerialError, SerialRange, UnitType
from cnn_offset.plugins.errors import OutcomeUnknownError, RefusedError
from cnn_offset.plugins.registries._http import Answer, ConnectionSettings, Wire, call
from cnn_offset.plugins.registries.base import (
    BlockReport,
    CancellationReport,
    CancellationRequest,
    RegistryConnector,
    ReportStatus,
)
from cnn_offset.plugins.settings import PluginSettings


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


class _BlockPage(Wire):
    serverTime: AwareDatetime  # noqa: N815
    page: int
    pages: int
    blocks: Sequence[_Block]


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

    def list_blocks(self, account_ref: str) -> Iterator[BlockReport]:
        """List the blocks of one account, page after page.

        Raises:
            RefusedError: there is no such account, or it is not for us.

        """
        number, pages = 1, 1
        while number <= pages:
            path = f"/api/v1/accounts/{quote(account_ref, safe='')}/blocks"
            answer = call(self.settings, "GET", path, params={"page": str(number)})
            if not answer.is_yes:
                refusal = answer.read(_Refusal)
                raise RefusedError(refusal.error.message, code=refusal.error.code)
            page = answer.read(_BlockPage)
            if page.page != number:
                raise OutcomeUnknownError(f"page {page.page} in answer to page {number}")
            for block in page.blocks:
                yield self._block(block, account_ref)
            number, pages = number + 1, page.pages

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

    def _block(self, block: _Block, account_ref: str) -> BlockReport:
        if block.accountId != account_ref or block.unitType not in self.unit_types:
            raise OutcomeUnknownError(f"block {block.blockId}: another account or unit type")
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
    "ANNEX_I": Obstacle.ACCOUNT_KIND,
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
