"""What is about to be forgotten."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from cnn_offset.models.base import BigId, Model


class DoomedFile(Model):
    """A file in the store that nothing refers to any more; the retention chore removes it.

    No transaction spans database and store: the row is written where the last reference
    goes, and goes itself when the file is gone.
    """

    __tablename__ = "doomed_file"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    path: Mapped[str]
    since: Mapped[datetime]
