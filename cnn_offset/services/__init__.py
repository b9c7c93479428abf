"""What happens: one transaction script for each verb.

Services are handed the session, or ``begin`` where a call to the outside lies between two
transactions; plug-ins, the moment and addresses are handed in too. They never commit.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.orm import Session

from cnn_offset.plugins.errors import PluginError

Begin = Callable[[], AbstractContextManager[Session]]
"""Opens one writing transaction, committed when the block ends without an exception."""


LEFT_ALONE: Final = timedelta(hours=1)
"""Who asks to be left alone for longer is asked again after this."""


def pause_for(error: PluginError, least: timedelta) -> timedelta:
    """Return when to call again: not before the other side has had the rest it asked for."""
    return max(least, min(error.retry_after or timedelta(0), LEFT_ALONE))


def announce(session: Session, table: str, row_id: int, due_at: datetime) -> None:
    """Have the doorbell rung for a row after the commit, if its work is due then.

    Only for rows that the session does not know; of the others it is seen by itself.
    """
    session.info.setdefault("due", []).append((table, row_id, due_at))


class ServiceError(Exception):
    """Something a person can put right. ``message`` is an English message id, with
    ``values`` for its placeholders; the page shows it in the reader's language.
    """

    def __init__(self, message: str, **values: object) -> None:
        super().__init__(message % values if values else message)
        self.message = message
        self.values = values


class NotFoundError(Exception):
    """There is no such thing, or it is not the asker's: the page answers 404."""
