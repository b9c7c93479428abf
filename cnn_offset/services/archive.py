"""A registry that has closed: what we know of it is all that answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import selectinload

from cnn_offset.domain.status import CancellationStatus
from cnn_offset.domain.units import Obstacle
from cnn_offset.models import Block, Cancellation
from cnn_offset.plugins.errors import UnavailableError
from cnn_offset.plugins.registries.base import (
    BlockReport,
    CancellationPage,
    CancellationReport,
    CancellationRequest,
    RegistryConnector,
    ReportStatus,
)
from cnn_offset.plugins.settings import PluginSettings
from cnn_offset.services import Begin

PAGE: Final = 500


class Archive(RegistryConnector):
    """Answers from our own tables in place of a registry's connector. Nothing goes outside."""

    id = "archive"
    title = "Archive"

    def __init__(
        self, registry_id: str, title: str, begin: Begin, clock: Callable[[], datetime]
    ) -> None:
        super().__init__(PluginSettings())
        self.registry_id = registry_id
        self.title = title  # type: ignore[misc]
        self._begin = begin
        self._clock = clock

    @property
    def deduplicates(self) -> bool:
        """It never cancels at all."""
        return True

    @property
    def settle(self) -> timedelta:
        """What was sent before has taken effect, or never will."""
        return timedelta(0)

    def list_blocks(self, account_ref: str) -> Iterator[BlockReport]:
        """List an account's blocks as they were last read."""
        after = 0
        while True:
            with self._begin() as session:
                found = session.scalars(
                    select(Block)
                    .where(
                        Block.registry_id == self.registry_id,
                        Block.account_ref == account_ref,
                        Block.id > after,
                    )
                    .options(selectinload(Block.activity))
                    .order_by(Block.id)
                    .limit(PAGE)
                ).all()
                reports = [_report(block) for block in found]
            yield from reports
            if len(found) < PAGE:
                return
            after = found[-1].id

    def list_cancellations(self, cursor: str) -> CancellationPage:
        """List nothing: our own record is no second witness of itself."""
        return CancellationPage((), cursor, more=False)

    def cancel(self, request: CancellationRequest) -> CancellationReport:
        """Cancel nothing.

        Raises:
            UnavailableError: always.

        """
        raise UnavailableError(f"registry {self.registry_id} is closed")

    def fetch(self, key: str) -> CancellationReport:
        """Say what we have recorded of a cancellation, and nothing of one still in doubt."""
        now = self._clock()
        with self._begin() as session:
            row = session.scalar(
                select(Cancellation)
                .where(Cancellation.key == key, Cancellation.registry_id == self.registry_id)
                .options(selectinload(Cancellation.ranges))
            )
            if row is not None and row.status is CancellationStatus.CONFIRMED:
                return CancellationReport(
                    ReportStatus.CONFIRMED,
                    now,
                    registry_ref=row.registry_ref,
                    ranges=[each.serials for each in row.ranges],
                    completed_at=row.completed_at,
                )
            if row is not None and row.status is CancellationStatus.REJECTED:
                return CancellationReport(ReportStatus.REFUSED, now, reason=row.registry_said)
        return CancellationReport(ReportStatus.NOT_KNOWN, now)


def _report(block: Block) -> BlockReport:
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
        commitment_period=block.commitment_period,
        obstacle=None if block.eligible else Obstacle(block.obstacle or Obstacle.REFUSED),
    )
