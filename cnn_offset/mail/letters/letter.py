"""A mail before it is drawn: text and HTML are made of one description."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from cnn_offset.models import Attestation, Message

Link = tuple[str, str]
"""Text and address."""


@dataclass(frozen=True)
class Attachment:
    """A file that goes with a mail; the attestation is another matter, kept in the store."""

    filename: str
    content_type: str
    content: bytes


@dataclass(frozen=True)
class Letter:
    """A mail before it is drawn."""

    subject: str
    paragraphs: Sequence[str]
    facts: Sequence[tuple[str, str]] = ()
    link: Link | None = None
    """What the reader is asked to follow, drawn as a button."""
    links: Sequence[Link] = ()
    closing: Sequence[str] = ()
    attestation: Attestation | None = None
    """Its PDF is attached."""
    attachments: Sequence[Attachment] = ()
    reply_to: str = ""
    """Where answers go; empty for the address where people write for help."""
    references: Sequence[str] = ()
    """Message-IDs of what was written before, oldest first."""
    is_automatic: bool = True
    """Whether no person has written it."""


Writer = Callable[[Session, Message], Letter]
"""Says what the mail of a row of the outbox says, in the language in force."""
