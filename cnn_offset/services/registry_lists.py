"""Reading a registry's list of an account's blocks: page by page, going on where it broke off."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError
from sqlalchemy.orm import Session

from cnn_offset.models import Reading
from cnn_offset.plugins.errors import OutcomeUnknownError, PluginError, RefusedError
from cnn_offset.plugins.registries.base import BlockPage, BlockReport, RegistryConnector
from cnn_offset.services import Begin

AT_ONCE: Final = timedelta(seconds=40)
"""After so long a reading stops and goes on in its next turn, well within a lease."""
KEPT_FOR: Final = timedelta(hours=1)
"""How long a list that broke off can be gone on with; after that it is read anew."""
_REPORTS: Final = TypeAdapter(BlockReport)


@dataclass
class Listed:
    """What a registry has listed of an account."""

    blocks: dict[str, BlockReport] = field(default_factory=dict)
    odd: dict[str, str] = field(default_factory=dict)
    """What it says of a block that cannot be, by the block's reference."""
    gone: set[str] = field(default_factory=set)
    registry_time: datetime | None = None
    """Its clock on the first page; None if it does not tell what changed."""

    def take(self, page: BlockPage) -> None:
        """Add a page."""
        for report in page.blocks:
            ref = report.block_ref
            before = self.blocks.get(ref)
            if not 0 <= report.held <= report.issued.quantity:
                self.odd[ref] = f"{report.held} of {report.issued.quantity} units held"
            elif before is not None and _identity(before) != _identity(report):
                self.odd[ref] = f"reported twice: {before.issued} and {report.issued}"
            else:
                self.blocks[ref] = report
        for odd in page.odd:
            self.odd[odd.block_ref] = odd.words
        self.gone.update(page.gone)

    def part(self) -> tuple[dict[str, BlockReport], dict[str, str]]:
        """Part the blocks that can be from those that cannot, with why not."""
        odd = dict(self.odd)
        for one, two in _overlapping(self.blocks.values()):
            odd.setdefault(one.block_ref, f"shares units with {two.block_ref}: {two.issued}")
            odd.setdefault(two.block_ref, f"shares units with {one.block_ref}: {one.issued}")
        return {ref: each for ref, each in self.blocks.items() if ref not in odd}, odd


class UnfinishedError(Exception):
    """There was no time for the rest of the list; it is kept, and goes on in the next turn."""


def _identity(report: BlockReport) -> object:
    return report.issued, report.activity_ref, report.account_ref


def _overlapping(reports: Iterable[BlockReport]) -> Iterable[tuple[BlockReport, BlockReport]]:
    longest: BlockReport | None = None
    for each in sorted(reports, key=lambda report: report.issued):
        if longest is not None and longest.issued.overlaps(each.issued):
            yield longest, each
            if each.issued.last <= longest.issued.last:
                continue
        longest = each


def together(first: Listed, second: Listed) -> Listed:
    """Join two lists of one account, read one after the other.

    What is in one of them only is there: pages shift while they are read. But a block that
    the second does not have, and whose units it has elsewhere, was split, merged or renamed
    in between.
    """
    joined = Listed(dict(second.blocks), dict(second.odd), registry_time=first.registry_time)
    for ref, report in first.blocks.items():
        if ref not in joined.blocks and ref not in joined.odd:
            joined.blocks[ref] = report
    # Neighbours by their numbers: at most the block that one only of the lists has gives way.
    for one, two in list(_overlapping(joined.blocks.values())):
        for each in (one, two):
            if each.block_ref not in second.blocks:
                joined.blocks.pop(each.block_ref, None)
    return joined


def read_list(
    begin: Begin,
    account_id: int,
    account_ref: str,
    connector: RegistryConnector,
    clock: Callable[[], datetime],
    *,
    before: Mapping[int, int] | None = None,
    changed_since: datetime | None = None,
) -> tuple[Listed, datetime, Mapping[int, int]]:
    """Read a list to its end; return it, when it was begun, and ``before`` as it was then.

    With ``before`` a list that breaks off is kept, and the next call goes on with it.

    Raises:
        UnavailableError, OutcomeUnknownError, RefusedError: the registry's.
        UnfinishedError: there is more than one turn has time for.

    """
    started = clock()
    began, listed, cursor = started, Listed(), ""
    if before is not None:
        with begin() as session:
            kept = session.get(Reading, account_id)
            if kept is not None:
                if timedelta(0) <= started - kept.began_at < KEPT_FOR:
                    listed, cursor, began = _unpack(kept), kept.cursor, kept.began_at
                    before = {int(key): units for key, units in kept.before.items()}
                session.delete(kept)
    seen = {""}
    while True:
        try:
            page = connector.page_blocks(account_ref, cursor, changed_since=changed_since)
        except PluginError as error:
            # A cursor that is refused is of no use any more.
            if before is not None and cursor and not isinstance(error, RefusedError):
                with begin() as session:
                    _keep(session, account_id, listed, cursor, began, before)
            raise
        if not cursor:
            listed.registry_time = page.registry_time
        listed.take(page)
        if not page.more:
            return listed, began, before or {}
        if page.cursor in seen:
            raise OutcomeUnknownError("pages that go round in a circle")
        cursor = page.cursor
        seen.add(cursor)
        if before is not None and clock() - started > AT_ONCE:
            with begin() as session:
                _keep(session, account_id, listed, cursor, began, before)
            raise UnfinishedError


def _keep(
    session: Session,
    account_id: int,
    listed: Listed,
    cursor: str,
    began: datetime,
    before: Mapping[int, int],
) -> None:
    found: list[dict[str, Any]] = [
        {"block": _REPORTS.dump_python(each, mode="json")} for each in listed.blocks.values()
    ]
    found += [{"odd": ref, "words": words} for ref, words in listed.odd.items()]
    session.merge(
        Reading(
            account_id=account_id,
            began_at=began,
            cursor=cursor,
            registry_time=listed.registry_time,
            before={str(key): units for key, units in before.items()},
            found=found,
        )
    )


def _unpack(kept: Reading) -> Listed:
    listed = Listed(registry_time=kept.registry_time)
    for each in kept.found:
        if "odd" in each:
            listed.odd[each["odd"]] = each["words"]
            continue
        try:
            report = _REPORTS.validate_python(each["block"])
        except ValidationError as error:
            raise OutcomeUnknownError("a list that was kept cannot be read") from error
        listed.blocks[report.block_ref] = report
    return listed
