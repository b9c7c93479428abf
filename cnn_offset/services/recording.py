"""The public record of cancellations: entering, finding and reading.

Every look-up is by a whole term in one index, newest first, so a page of the record costs
the same however long it grows.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, delete, exists, func, select, tuple_
from sqlalchemy.orm import Session, aliased, joinedload, selectinload

from cnn_offset.domain.attestation import AttestationData
from cnn_offset.domain.reference import parse_attestation_number
from cnn_offset.domain.status import AttestationStatus
from cnn_offset.domain.units import CerSerial, SerialError
from cnn_offset.models import (
    Activity,
    Attestation,
    Cancellation,
    CancelledRange,
    FormerRef,
    Order,
    RecordTerm,
)
from cnn_offset.services import NotFoundError

PAGE: Final = 25
MAX_WORDS: Final = 6
"""Further words of a search are not looked at; the page says what was."""
MOST: Final = 2**31 - 1
"""The largest number the columns hold; whoever asks for more asks for nothing."""
_CODE = re.compile(r"[A-Za-z0-9_-]{1,32}", re.ASCII)
_WORD = re.compile(r"\w+")
_LETTERS = str.maketrans(
    {"ł": "l", "đ": "d", "ð": "d", "ø": "o", "æ": "ae", "œ": "oe", "þ": "th", "ı": "i", "ħ": "h"}
)
"""Letters that Unicode does not take apart, as people without them type them."""


@dataclass(frozen=True, slots=True)
class RecordQuery:
    """What a reader of the record looks for; empty parts do not narrow."""

    text: str = ""
    unit_type: str = ""
    host: str = ""
    registry_id: str = ""
    year: str = ""


@dataclass(frozen=True, slots=True)
class RecordEntry:
    """One cancellation as the public may see it."""

    sequence: int
    year: int
    attestation_id: int
    data: AttestationData
    beneficiary: str
    """Empty if not published."""
    reason: str
    """Empty if not published."""
    purchaser_kind: str
    """``person`` or ``company``: what to say instead of a name."""
    sha256: str
    check_code: str = field(repr=False, default="")
    replaces: Attestation | None = None
    """The one before it, which had name or reason wrong."""
    replaced_by: Attestation | None = None
    """The one that holds in its place, once that is issued."""
    correction: str = ""
    """Why it replaces the one before it."""
    issued_at: datetime | None = None
    """Its page says things in the words of that moment, as its PDF does."""


@dataclass(frozen=True, slots=True)
class RecordPage:
    """Some entries, newest first, and where older ones begin."""

    entries: list[RecordEntry]
    before: int | None
    """Give this to the next call for older entries; None if there are none."""


def words(text: str) -> list[str]:
    """Return the words of ``text`` as the index keeps them: without case and accents."""
    plain = unicodedata.normalize("NFKD", text.casefold().translate(_LETTERS))
    bare = "".join(sign for sign in plain if not unicodedata.combining(sign))
    return [word[:60] for word in _WORD.findall(bare)]


def index_terms(session: Session, row: Attestation, data: AttestationData) -> None:
    """Enter an issued attestation in the index, in the transaction that issues it."""
    terms = {f"year:{row.year}"}
    for line in data.lines:
        terms |= {
            f"type:{line.unit_type.value}",
            f"host:{line.host_party}",
            f"registry:{line.registry_id}",
        }
        terms |= _word_terms(line.activity_title.values())
        terms |= _word_terms([line.activity_ref, line.registry_ref])
        for each in line.ranges:
            terms |= {f"serial:{each.first.casefold()[:70]}", f"serial:{each.last.casefold()[:70]}"}
    if row.order.publish_name:
        terms |= _word_terms([data.beneficiary])
    session.add_all(RecordTerm(term=term, attestation_id=row.id) for term in sorted(terms))


def forget_terms(session: Session, attestation_id: int) -> None:
    """Take an attestation out of the index: another has taken its place.

    It is still found by its number and by its check address.
    """
    session.execute(delete(RecordTerm).where(RecordTerm.attestation_id == attestation_id))


def _holds() -> ColumnElement[bool]:
    """Whether no issued attestation has taken an attestation's place."""
    after = aliased(Attestation)
    return ~exists().where(
        after.supersedes_id == Attestation.id, after.status == AttestationStatus.ISSUED
    )


def _word_terms(texts: Iterable[str]) -> set[str]:
    return {f"word:{word}" for text in texts for word in words(text)}


def find_entries(
    session: Session,
    query: RecordQuery,
    *,
    registry_ids: Collection[str],
    before: int | None = None,
    limit: int = PAGE,
) -> RecordPage:
    """Return the newest entries that match ``query``, older than ``before`` if given.

    Of a corrected attestation the one that holds now; the others only by their numbers.

    Args:
        session: any.
        query: all its parts must match. Its text is an attestation's number, a serial
            number, or whole words of beneficiary (where published), project or references.
        registry_ids: where a serial number is looked for.
        before: an id from an earlier page.
        limit: how many at most.

    """
    text = query.text.strip()
    statement = (
        select(Attestation)
        .where(Attestation.status == AttestationStatus.ISSUED)
        .options(
            joinedload(Attestation.order),
            selectinload(Attestation.supersedes),
            selectinload(Attestation.superseded_by),
        )
    )
    terms = filter_terms(query)
    number = parse_attestation_number(text)
    if number and number[0] > MOST:
        return RecordPage([], None)
    serial_owner = None if number else next(owners_of_serial(session, text, registry_ids), None)
    if number:
        statement = statement.where(
            Attestation.sequence == number[0], Attestation.year == number[1]
        )
    elif serial_owner is not None:
        statement = statement.where(Attestation.order_id == serial_owner)
    elif text:
        found = words(text)[:MAX_WORDS]
        if not found:
            return RecordPage([], None)
        serial = f"serial:{text.casefold()[:70]}"
        if len(found) > 1 and _known(session, serial):
            terms.insert(0, serial)
        elif cer_serial(text):
            # Its parts are no words to be looked for.
            return RecordPage([], None)
        else:
            terms = [f"word:{word}" for word in dict.fromkeys(found)] + terms
    if not number:
        statement = statement.where(_holds())
    newest = Attestation.id
    for at, term in enumerate(terms):
        each = aliased(RecordTerm)
        if at == 0:
            # The first term drives: its entries are read in order, the others probed.
            statement = statement.join(each, each.attestation_id == Attestation.id)
            statement = statement.where(each.term == term)
            newest = each.attestation_id
        else:
            statement = statement.where(
                exists().where(each.term == term, each.attestation_id == Attestation.id)
            )
    if query.year:
        # Where the year ends the reading begins, not at the newest entry of all.
        last = session.scalar(
            select(func.max(RecordTerm.attestation_id)).where(
                RecordTerm.term == f"year:{query.year}"[:80]
            )
        )
        if last is None:
            return RecordPage([], None)
        statement = statement.where(newest <= last)
    if before is not None:
        statement = statement.where(newest < before)
    rows = session.scalars(statement.order_by(newest.desc()).limit(limit + 1)).all()
    more = rows[limit - 1].id if len(rows) > limit else None
    return RecordPage([entry_of(row) for row in rows[:limit]], more)


def filter_terms(query: RecordQuery) -> list[str]:
    """Write the filters as terms, the one that likely matches fewest first."""
    chosen = {
        "host": query.host,
        "year": query.year,
        "type": query.unit_type,
        "registry": query.registry_id,
    }
    return [f"{name}:{value}"[:80] for name, value in chosen.items() if value]


def _known(session: Session, term: str) -> bool:
    return bool(session.scalar(select(exists().where(RecordTerm.term == term))))


def owners_of_serial(session: Session, text: str, registry_ids: Collection[str]) -> Iterator[int]:
    """Yield the order, in each registry, for which the CER with serial number ``text`` was
    cancelled here. Serial numbers of other units are opaque: of those only the first and last
    of a range are found, as terms.
    """
    for row in ranges_of_serial(session, text, registry_ids):
        if row.cancellation_id is not None:
            yield session.get_one(Cancellation, row.cancellation_id).order_id


def ranges_of_serial(
    session: Session, text: str, registry_ids: Collection[str]
) -> Iterator[CancelledRange]:
    """Yield what was cancelled, in each registry, with the CER of serial number ``text`` in it.

    No two ranges overlap, so the first that ends at or after the number is the only one
    that can hold it.
    """
    serial = cer_serial(text)
    if serial is None:
        return
    for registry_id in registry_ids:
        row = session.scalar(
            select(CancelledRange)
            .where(
                CancelledRange.registry_id == registry_id,
                CancelledRange.series == serial.party,
                CancelledRange.last >= serial.number,
            )
            .order_by(CancelledRange.last)
            .limit(1)
        )
        if row is not None and row.first <= serial.number:
            yield row


def cer_serial(text: str) -> CerSerial | None:
    """Read the serial number of a CER as people type it; None if it is none."""
    try:
        return CerSerial.parse("".join(text.split()).upper())
    except SerialError:
        return None


def entry(session: Session, sequence: int, year: int) -> RecordEntry:
    """Return one entry of the record.

    Raises:
        NotFoundError: there is none of that number, or its PDF is not issued yet.

    """
    if sequence > MOST or year > MOST:
        raise NotFoundError(f"{sequence}/{year}")
    row = session.scalar(
        select(Attestation).where(
            Attestation.sequence == sequence,
            Attestation.year == year,
            Attestation.status == AttestationStatus.ISSUED,
        )
    )
    if row is None:
        raise NotFoundError(f"{sequence}/{year}")
    return entry_of(row)


def entry_of(row: Attestation) -> RecordEntry:
    """Return what the public may see of an issued attestation."""
    order: Order = row.order
    data = AttestationData.from_json(row.data)
    after = row.superseded_by
    return RecordEntry(
        sequence=row.sequence,
        year=row.year,
        attestation_id=row.id,
        data=data,
        beneficiary=data.beneficiary if order.publish_name else "",
        reason=data.reason if order.publish_reason else "",
        purchaser_kind=order.purchaser_kind,
        sha256=row.sha256,
        check_code=row.check_code,
        replaces=row.supersedes,
        replaced_by=after if after and after.status is AttestationStatus.ISSUED else None,
        correction=row.correction,
        issued_at=row.issued_at,
    )


def by_check_code(session: Session, code: str) -> RecordEntry | None:
    """Return the entry whose attestation carries ``code`` in its address, if any."""
    if not _CODE.fullmatch(code):
        return None
    row = session.scalar(select(Attestation).where(Attestation.check_code == code))
    return entry_of(row) if row and row.status is AttestationStatus.ISSUED else None


def by_sha256(session: Session, sha256: str) -> RecordEntry | None:
    """Return the entry whose PDF has this hash, if any."""
    row = session.scalar(select(Attestation).where(Attestation.sha256 == sha256))
    return entry_of(row) if row and row.status is AttestationStatus.ISSUED else None


def first_year(session: Session) -> int | None:
    """Return the year of the oldest entry, None while the record is empty."""
    return session.scalar(select(Attestation.year).order_by(Attestation.id).limit(1))


def hosts(session: Session) -> list[str]:
    """Return the host Parties of all activities, as ISO 3166 codes."""
    return list(session.scalars(select(Activity.host_party).distinct()))


def project_slugs(session: Session, data: AttestationData) -> dict[tuple[str, str], str]:
    """Return where the activities of ``data`` have their page, by registry and reference."""
    wanted = {(line.registry_id, line.activity_ref) for line in data.lines}
    rows = session.execute(
        select(Activity.registry_id, Activity.ref, Activity.slug).where(
            tuple_(Activity.registry_id, Activity.ref).in_(wanted)
        )
    )
    found = {(registry_id, ref): slug for registry_id, ref, slug in rows}
    if wanted <= found.keys():
        return found
    # Registered elsewhere by now: the numbers it had before still lead to it (F3).
    former = session.execute(
        select(FormerRef.registry_id, FormerRef.ref, Activity.slug)
        .join(Activity, Activity.id == FormerRef.activity_id)
        .where(tuple_(FormerRef.registry_id, FormerRef.ref).in_(wanted))
    )
    return {(registry_id, ref): slug for registry_id, ref, slug in former} | found
