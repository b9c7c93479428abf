"""The world in which a registry connector is tried: a registry with levers."""

from __future__ import annotations

import abc
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from enum import StrEnum

from cnn_offset.domain.units import Obstacle
from cnn_offset.plugins.registries.base import RegistryConnector


class Misdeed(StrEnum):
    """What the registry can be told to do wrong with the next call."""

    SILENT_BEFORE = "silent_before"
    """Do nothing, and keep the caller waiting for four times the world's patience."""
    SILENT_AFTER = "silent_after"
    """Do it at once, and keep the caller waiting as long."""
    LATE = "late"
    """Wait twice the world's patience, then do it and answer, though nobody listens."""
    ERROR_BEFORE = "error_before"
    """Do nothing and answer 500, or what stands for it."""
    ERROR_AFTER = "error_after"
    """Do it and answer 500."""
    NONSENSE = "nonsense"
    """Answer as if all were well, but with something that is no answer."""
    FEWER = "fewer"
    """Cancel one unit fewer than asked, and say so."""


class RegistryWorld(abc.ABC):
    """A connector, the registry it speaks to, and levers to make that misbehave."""

    connector: RegistryConnector
    """Made so that it gives up waiting after about :attr:`patience`."""
    patience: float
    """Seconds; short, as tests wait for it."""
    account: str
    other_account: str
    """A second account of the registry."""
    obstacles: Sequence[Obstacle] = (
        Obstacle.PROCEEDS_UNPAID,
        Obstacle.PROCEEDS_PARTLY,
        Obstacle.ACCOUNT_KIND,
    )
    """What the registry says when a block may not be cancelled; unpaid is always among it."""
    secret: str
    """What the connector proves itself with."""

    @abc.abstractmethod
    def seed(
        self,
        quantity: int,
        *,
        gone: Sequence[tuple[int, int]] = (),
        obstacle: Obstacle | None = None,
        account: str | None = None,
    ) -> str:
        """Issue a block in :attr:`account` and return its name.

        ``gone``: pairs of how many units to skip from the start, and how many are gone
        from there because somebody else cancelled them. ``obstacle``: one of
        :attr:`obstacles`, for which the registry does not let it be cancelled.
        """

    @abc.abstractmethod
    def prepare(self, misdeed: Misdeed) -> None:
        """Make the registry do this wrong with the next call, and only with that."""

    @abc.abstractmethod
    def audit(self) -> Mapping[str, int]:
        """Read the registry's books: units really cancelled, by key."""

    @abc.abstractmethod
    def recorded(self, key: str) -> tuple[str, str]:
        """Read the registry's books: beneficiary and reason of a cancellation."""

    @abc.abstractmethod
    def close_registry(self) -> None:
        """Make the registry refuse every cancellation from now on."""

    @abc.abstractmethod
    def advance(self, by: timedelta) -> None:
        """Move the registry's clock on."""

    @abc.abstractmethod
    def unreachable(self) -> RegistryConnector:
        """Make a connector like ours to an address where nobody listens."""

    def cancel_elsewhere(self, block_ref: str, units: int) -> bool:
        """Cancel units of a block by another channel, without a key of ours.

        Return False if the registry has no other channel.
        """
        return False

    def lose(self, block_ref: str) -> bool:
        """Let a block leave :attr:`account`; return False if the registry does not tell that."""
        return False

    def slow_down(self, wait: timedelta) -> bool:
        """Make the registry turn the next call away and ask to be left alone so long.

        Return False if it never does.
        """
        return False

    def wait(self) -> None:
        """Give the registry a moment."""
        time.sleep(0.02)
