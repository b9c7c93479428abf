"""The interface of a registry connector.

A cancellation cannot be undone. So the interface tells *no* from *not known*, and the
core asks before it acts and after every silence.
"""

from __future__ import annotations

import abc
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import ClassVar

from cnn_offset.domain.units import Obstacle, SerialRange, UnitType
from cnn_offset.plugins.settings import PluginSettings


class ReportStatus(StrEnum):
    """How a cancellation stands at the registry."""

    ACCEPTED = "accepted"
    """The registry has it and is working on it; ask again."""
    CONFIRMED = "confirmed"
    REFUSED = "refused"
    """The registry has decided that it will not, for good."""
    NOT_KNOWN = "not_known"
    """The registry has never heard of the key; it may yet, if a request is on its way."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where units of a block were before, one for one and in the order of their numbers."""

    block_ref: str
    """The block's name in the registry that this one succeeds."""
    units: SerialRange
    """The numbers they had there."""


@dataclass(frozen=True, slots=True)
class BlockReport:
    """Units of one issuance in one account, as the registry reports them now."""

    block_ref: str
    """The registry's own name for the block in that account; never changes."""
    account_ref: str
    activity_ref: str
    """The activity's reference number at this registry."""
    unit_type: UnitType
    party: str
    """Host Party, ISO 3166 alpha-2."""
    issued: SerialRange
    """The whole block; units of it may have left since."""
    held: int
    """Units of it still in the account."""
    monitoring_start: date
    monitoring_end: date
    vintage: int
    commitment_period: int | None
    obstacle: Obstacle | None
    """Why the registry does not let it be cancelled here; None if it does. Where it says no
    in words that the connector does not know it is ``Obstacle.REFUSED``.
    """
    expires_on: date | None = None
    """The last day on which units that do not last (tCER, lCER) are valid."""
    origins: tuple[Origin, ...] = ()
    """The units of the registry before this one that its units are, if the registry took
    them over; together as many as ``issued``.
    """

    @property
    def eligible(self) -> bool:
        """Whether the registry lets it be cancelled here."""
        return self.obstacle is None


@dataclass(frozen=True, slots=True)
class OddBlock:
    """A block of which the registry says what cannot be; the others of its list stand."""

    block_ref: str
    words: str
    """What is wrong, for operators."""


@dataclass(frozen=True, slots=True)
class BlockPage:
    """Part of the list of an account's blocks."""

    blocks: Sequence[BlockReport]
    cursor: str = ""
    """Where the next page begins. It holds for an hour at least, so that a list which breaks
    off can be gone on with.
    """
    more: bool = False
    """Whether there is another page."""
    registry_time: datetime | None = None
    """The registry's own clock when it answered; the next ``changed_since`` comes of it. None
    if it does not tell what changed, so that every list is whole.
    """
    gone: Sequence[str] = ()
    """References of blocks that have left the account since ``changed_since``."""
    odd: Sequence[OddBlock] = ()


@dataclass(frozen=True, slots=True)
class CancellationRequest:
    """How many units to cancel, of what, for whom and why. The registry picks the serials."""

    key: str
    """Ours, unique to the cancellation, at most 40 characters; the registry keeps it."""
    account_ref: str
    block_ref: str
    quantity: int
    beneficiary: str
    reason: str


@dataclass(frozen=True, slots=True)
class CancellationReport:
    """What the registry says now. Evidence: the core checks it against the order."""

    status: ReportStatus
    registry_time: datetime
    """The registry's own clock when it answered."""
    registry_ref: str = ""
    """The transaction's number, once confirmed."""
    ranges: Sequence[SerialRange] = ()
    """What was cancelled, once confirmed."""
    completed_at: datetime | None = None
    reason: str = ""
    """The registry's words, where it refused."""


@dataclass(frozen=True, slots=True)
class CancellationEntry:
    """A cancellation as the registry's own list has it, whoever asked for it."""

    registry_ref: str
    key: str
    """Ours; empty for a cancellation by another channel."""
    account_ref: str
    block_ref: str
    ranges: Sequence[SerialRange]
    completed_at: datetime


@dataclass(frozen=True, slots=True)
class CancellationPage:
    """Part of the registry's list of cancellations, in the order of their completion."""

    entries: Sequence[CancellationEntry]
    cursor: str
    """Where the next page begins; kept, so that later only what came since is listed. From
    one cursor the same entries come first again, whatever has come since.
    """
    more: bool
    """Whether there is another page now."""
    registry_time: datetime | None = None
    """The registry's own clock when it answered: without it nothing of the list is judged."""


class RegistryConnector(abc.ABC):
    """One registry. Made once at start; holds no state that matters; thread-safe.

    Every call goes outside with a time-out of at most 20 seconds and may raise
    :class:`UnavailableError` (the request surely never left) or
    :class:`OutcomeUnknownError` (anything else that is no clear answer). No call
    retries by itself. Where the registry says how long to wait (``Retry-After``) the error
    says so in ``retry_after``, and the core comes again no earlier.
    """

    api_version: ClassVar[int] = 2
    id: ClassVar[str]
    title: ClassVar[str]
    """Shown to everybody; an English message id."""
    Settings: ClassVar[type[PluginSettings]] = PluginSettings

    def __init__(self, settings: PluginSettings) -> None:
        self.settings = settings

    @property
    @abc.abstractmethod
    def deduplicates(self) -> bool:
        """Whether the registry promises that a repeated key never cancels again.

        If so the core may send a key again after silence; if not it only asks, and
        sends again only when the registry's clock is past :attr:`settle`
        (trust-facts.md 1.9). A wrong True cancels twice: declare it only on the
        registry's written word.
        """

    @property
    @abc.abstractmethod
    def settle(self) -> timedelta:
        """How long after a request was sent it could still take effect, at the longest:
        our time-out, the registry's processing and the staleness of its look-up.
        """

    @abc.abstractmethod
    def list_blocks(self, account_ref: str) -> Iterator[BlockReport]:
        """List the blocks of one account, following pages. Reads only."""

    def page_blocks(
        self, account_ref: str, cursor: str = "", *, changed_since: datetime | None = None
    ) -> BlockPage:
        """List part of an account's blocks; what the mirror is read by. Reads only.

        With ``changed_since``, of the registry's clock, only what has changed at or after
        it: the blocks as they are now, and in ``gone`` what has left the account. The core
        lets that time overlap with the reading before, and reads everything each night, so
        a change told late is not lost. A connector need not write this; then every reading
        lists everything at once.
        """
        return BlockPage(tuple(self.list_blocks(account_ref)))

    def list_successors(self, account_ref: str) -> Iterator[BlockReport]:
        """List the blocks whose units lay in ``account_ref`` of the registry before this one.

        Each says in ``account_ref`` where they lie now and in ``origins`` what they were.
        Called by a cut-over only (F3). Reads only. A registry that succeeds none has none.
        """
        return iter(())

    @abc.abstractmethod
    def list_cancellations(self, cursor: str) -> CancellationPage:
        """List completed cancellations from ``cursor`` on; an empty one is the beginning.

        All that are done from accounts of ours or of anybody, by whatever channel, in the
        order of their completion: each once, none left out, and new ones at the end. Called
        each night, to compare the registry's list with ours (F8). Reads only.

        Raises:
            RefusedError: the registry does not know the cursor, or does not let us read.

        """

    @abc.abstractmethod
    def cancel(self, request: CancellationRequest) -> CancellationReport:
        """Ask the registry to cancel, once.

        Called only after the intent is committed and ``fetch`` did not know the key.
        Answers ``accepted``, ``confirmed`` or ``refused``; never ``not_known``. A
        refusal answers this request, not an earlier one that is still unanswered.
        Must not repeat the request, whatever happens.
        """

    @abc.abstractmethod
    def fetch(self, key: str) -> CancellationReport:
        """Ask what became of a key. Reads only; safe at any time.

        Answers ``not_known`` only if the registry said that it does not know it; an
        error page or an empty answer is :class:`OutcomeUnknownError`.
        """
