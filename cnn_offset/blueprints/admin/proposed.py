"""Proposals in plain words. Each area describes the kinds of its own.

Put this into the module of your desk pages, beside ``proposing.does`` of the service::

    @describes(ProposalKind.MAPPING)
    def _mapping(session: Session, proposal: Proposal) -> Described:
        return Described(
            what=gettext("Let %(provider)s offer units of %(ref)s.", …),
            changes=[Change(gettext("Mapped"), gettext("No"), gettext("Yes"))],
            effects=[gettext("The account is read again at once.")],
            about=(provider.name, url_for("admin.provider", slug=provider.slug)),
        )
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy.orm import Session

from cnn_offset.domain.text import N_
from cnn_offset.models import Proposal, ProposalKind


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that would become another; all in the reader's language."""

    name: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Described:
    """What a proposal means, in the reader's language."""

    what: str
    """What would be done, in one sentence."""
    changes: Sequence[Change] = ()
    """Before and after, side by side."""
    effects: Sequence[str] = ()
    """What follows from approving it, and what cannot be taken back: a sentence each."""
    about: tuple[str, str] | None = None
    """Name and address of the page of what it is about, unless that is the order's."""


Describes = Callable[[Session, Proposal], Described]
KINDS: Final[Mapping[ProposalKind, str]] = {
    ProposalKind.REFUND: N_("Refund"),
    ProposalKind.CORRECTION: N_("Correction of an attestation"),
    ProposalKind.ERASURE: N_("Erasure of personal data"),
    ProposalKind.MAPPING: N_("Mapping of a registry account"),
    ProposalKind.DATES: N_("Change of dates"),
}
"""The kinds in a few words."""
_DESCRIBES: Final[dict[ProposalKind, Describes]] = {}


def describes(kind: ProposalKind) -> Callable[[Describes], Describes]:
    """Register what says proposals of ``kind`` in plain words."""

    def keep(verb: Describes) -> Describes:
        _DESCRIBES[kind] = verb
        return verb

    return keep


def described(session: Session, proposal: Proposal) -> Described | None:
    """Say a proposal in plain words; None if nobody described its kind."""
    verb = _DESCRIBES.get(proposal.kind)
    return verb(session, proposal) if verb else None
