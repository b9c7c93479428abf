"""A registry in memory that lists by pages, tells what changed, and has a clock of its own."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from cnn_offset.domain.units import SerialRange
from cnn_offset.plugins.errors import OutcomeUnknownError
from cnn_offset.plugins.registries.base import BlockPage, BlockReport, OddBlock
from tests.fakes import FakeRegistry


@dataclass
class TellingRegistry(FakeRegistry):
    """As the real ones: what is in its books is listed by pages, whole or what changed."""

    skew: timedelta = timedelta(0)
    """How far its clock is ahead of ours."""
    page_size: int = 100
    asked: list[tuple[str, bool]] = field(default_factory=list)
    """Each page that was asked for: the cursor, and whether only for changes."""
    changed: dict[str, datetime] = field(default_factory=dict)
    left_at: dict[str, tuple[str, datetime]] = field(default_factory=dict)
    deaf_to: set[str] = field(default_factory=set)
    """Blocks whose changes it forgets to tell."""
    odd: dict[str, str] = field(default_factory=dict)
    turned_away: int = 0
    """So many calls for a page are turned away, once the first page was given."""
    wait: timedelta = timedelta(minutes=7)
    between: list[object] = field(default_factory=list)
    """Functions called one after another, each after a page was given."""

    def now(self) -> datetime:
        return self.clock() + self.skew

    def put(self, report: BlockReport) -> None:
        """Write a block into the books, as new or changed."""
        self.books[report.block_ref] = report
        self.touch(report.block_ref)

    def touch(self, ref: str) -> None:
        if ref not in self.deaf_to:
            self.changed[ref] = self.now()

    def issue(self, account_ref: str, activity_ref: str, block: SerialRange, ref: str) -> None:
        super().issue(account_ref, activity_ref, block, ref)
        self.touch(ref)

    def take(self, block_ref: str, units: int) -> None:
        super().take(block_ref, units)
        self.touch(block_ref)

    def remove(self, ref: str) -> None:
        """Let a block leave its account."""
        report = self.books.pop(ref)
        self.left_at[ref] = (report.account_ref, self.now())

    def split(self, ref: str, units: int, new: str) -> None:
        """Part a block after so many units."""
        report = self.books[ref]
        issued = report.issued
        middle = issued.first + units
        one = SerialRange(issued.series, issued.first, middle - 1, "a", f"b{middle}")
        two = SerialRange(issued.series, middle, issued.last, f"c{middle}", "d")
        self.put(replace(report, issued=one, held=units))
        self.put(replace(report, block_ref=new, issued=two, held=issued.quantity - units))

    def page_blocks(
        self, account_ref: str, cursor: str = "", *, changed_since: datetime | None = None
    ) -> BlockPage:
        self.asked.append((cursor, changed_since is not None))
        if cursor and self.turned_away:
            self.turned_away -= 1
            raise OutcomeUnknownError("answer 429", retry_after=self.wait)
        self._catch_up()
        for entry in self.entries:
            ref = entry.request.block_ref
            done = entry.report.completed_at
            if ref in self.changed and done and done + self.skew > self.changed[ref]:
                self.changed[ref] = done + self.skew
        rows = [
            replace(each, held=self.left(ref))
            for ref, each in self.books.items()
            if each.account_ref == account_ref
            and (changed_since is None or self.changed.get(ref, datetime.min.replace(
                tzinfo=changed_since.tzinfo)) >= changed_since)
        ]  # fmt: skip
        start = int(cursor or "0")
        end = start + self.page_size
        page = BlockPage(
            rows[start:end],
            cursor=str(end),
            more=end < len(rows),
            registry_time=self.now(),
            gone=[
                ref
                for ref, (place, at) in self.left_at.items()
                if changed_since is not None and place == account_ref and at >= changed_since
            ],
            odd=[OddBlock(ref, words) for ref, words in self.odd.items()]
            if end >= len(rows)
            else [],
        )
        if self.between:
            self.between.pop(0)()  # type: ignore[operator]
        return page
