"""Units that may take the place of those a registry refused to cancel."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from cnn_offset.domain.status import REPLACEMENT_MOVES, ReplacementStatus
from cnn_offset.models.base import BigId, Model, WorkMixin, due_index, enum_column
from cnn_offset.models.cancelling import Cancellation
from cnn_offset.models.catalogue import Block, Offer
from cnn_offset.models.ordering import Order, OrderLine


class Replacement(WorkMixin, Model):
    """The question to a purchaser whether other units may take the place of a line's.

    While it is asked the new units are held as well as the old ones. ``due_at``: when it
    lapses. What the line was before is kept here.
    """

    __tablename__ = "replacement"
    __table_args__ = (
        Index(
            "uq_replacement_asked",
            "order_line_id",
            unique=True,
            sqlite_where=text("status = 'asked'"),
            postgresql_where=text("status = 'asked'"),
        ),
        Index("ix_replacement_order", "order_id"),
        due_index("replacement"),
    )
    MOVES: ClassVar[Mapping[Any, Any]] = REPLACEMENT_MOVES

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("order.id"))
    order_line_id: Mapped[int] = mapped_column(ForeignKey("order_line.id"))
    cancellation_id: Mapped[int] = mapped_column(ForeignKey("cancellation.id"))
    """The one that was refused."""
    old_offer_id: Mapped[int] = mapped_column(ForeignKey("offer.id"))
    old_block_id: Mapped[int] = mapped_column(ForeignKey("block.id"))
    offer_id: Mapped[int] = mapped_column(ForeignKey("offer.id"))
    block_id: Mapped[int] = mapped_column(ForeignKey("block.id"))
    status: Mapped[ReplacementStatus] = mapped_column(
        enum_column(ReplacementStatus, "status"), default=ReplacementStatus.ASKED
    )
    asked_by: Mapped[str] = mapped_column(String(254))
    asked_at: Mapped[datetime]
    answer_by: Mapped[datetime]
    decided_at: Mapped[datetime | None]

    order: Mapped[Order] = relationship()
    line: Mapped[OrderLine] = relationship()
    cancellation: Mapped[Cancellation] = relationship()
    offer: Mapped[Offer] = relationship(foreign_keys=[offer_id])
    block: Mapped[Block] = relationship(foreign_keys=[block_id])
    old_block: Mapped[Block] = relationship(foreign_keys=[old_block_id])
