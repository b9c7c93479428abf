"""When registries end, as the platform last acted on it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from cnn_offset.models.base import BigId, Model


class RegistryEnd(Model):
    """The dates of one registry connection, written down each minute by the chore ``closing``.

    They come from the configuration or from operators; here whatever concludes from money
    reads them within its own transaction.
    """

    __tablename__ = "registry_end"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    registry_id: Mapped[str] = mapped_column(String(40), unique=True)
    orders_until: Mapped[datetime | None]
    cancels_until: Mapped[datetime | None]
    closes_at: Mapped[datetime | None]
    done: Mapped[dict[str, Any]]
    """What was done for which of these dates, so that it is done once."""
