"""What plug-ins that have run here called themselves, and what still needs one."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from cnn_offset.models.base import Model
from cnn_offset.models.paying import Payment

OPEN_PAYMENT: Final = (
    "status IN ('created', 'awaiting_payer', 'processing', 'in_review', 'disputed')"
)
"""Of a payment: the processor may still have something to say about it."""


class PluginTitle(Model):
    """The title of a payment method or registry, for what it did when it is long gone.

    Written at each start for all that run; nothing is ever taken away.
    """

    __tablename__ = "plugin_title"

    kind: Mapped[str] = mapped_column(String(10), primary_key=True)
    """``payment`` or ``registry``."""
    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    """As stored with payments and blocks."""
    title: Mapped[str] = mapped_column(String(200))
    """An English message id."""


Index(
    "ix_payment_open",
    Payment.method_id,
    Payment.id,
    sqlite_where=text(OPEN_PAYMENT),
    postgresql_where=text(OPEN_PAYMENT),
)
