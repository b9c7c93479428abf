"""Matching every block of a registry with what became of it in the one that succeeds it.

Only values: what does not fit is said in words for operators, and nothing is believed
that is not told twice, by our mirror and by the new registry's cross-reference.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from cnn_offset.domain.units import (
    Obstacle,
    SerialRange,
    UnitType,
    first_overlap,
    total,
)
from cnn_offset.plugins.registries.base import BlockReport


@dataclass(frozen=True, slots=True)
class OldBlock:
    """A block that is to move, as we know it."""

    id: int
    account_ref: str
    block_ref: str
    provider_id: int
    activity_id: int
    activity_ref: str
    unit_type: UnitType
    party: str
    issued: SerialRange
    held: int
    promised: int
    """Units that its offers promise."""
    monitoring: tuple[date, date]
    vintage: int
    allows_partial: bool
    """Whether units of its activity may be offered whose share of proceeds is paid in part."""


@dataclass(frozen=True, slots=True)
class Successor:
    """A block of the new registry, and how many units of which old blocks it holds."""

    report: BlockReport
    units: Mapping[int, int]
    """By the old block's id."""


@dataclass(frozen=True, slots=True)
class Group:
    """Blocks that must move together, because they were split or merged among themselves."""

    blocks: Sequence[OldBlock]
    successors: Sequence[Successor]


@dataclass(frozen=True, slots=True)
class Known:
    """What we know of the new registry before the move."""

    activities: Mapping[str, int]
    """Activities that are registered there already: id by reference number."""
    owners: Mapping[str, int]
    """Providers whose own account one is, by account; the Board's pending one is nobody's."""
    blocks: frozenset[tuple[str, str]]
    """(account, block) that are mirrored already."""


@dataclass(frozen=True, slots=True)
class Matching:
    """What became of everything, and what does not fit; empty ``findings`` are good."""

    groups: Sequence[Group]
    activities: Mapping[int, str]
    """The new reference number by the activity's id."""
    accounts: Mapping[str, Sequence[str]]
    """New accounts by the old one."""
    findings: Sequence[str]


def match(
    blocks: Sequence[OldBlock],
    listed: Iterable[BlockReport],
    known: Known,
    *,
    is_gone: Callable[[SerialRange], bool],
    moved_before: frozenset[tuple[str, str]] = frozenset(),
) -> Matching:
    """Match ``blocks`` with what the new registry lists as their successors.

    Args:
        blocks: all that hold or promise units.
        listed: of all old accounts; the same one may come twice.
        known: what we know of the new registry.
        is_gone: whether some unit of a range was cancelled through us.
        moved_before: (account, block) of the new registry that an interrupted run has moved.

    """
    findings: list[str] = []
    reports: dict[tuple[str, str], BlockReport] = {}
    for each in listed:
        place = (each.account_ref, each.block_ref)
        if place in moved_before:
            continue
        if reports.setdefault(place, each) != each:
            findings.append(f"block {each.block_ref}: listed twice, and not alike")
    by_ref = {each.block_ref: each for each in blocks}
    if len(by_ref) < len(blocks):
        findings.append("two blocks of the old registry have one name: nothing can be matched")
    successors = []
    for report in reports.values():
        made = _trace(report, by_ref, findings)
        if made is not None:
            successors.append(made)
    by_id = {each.id: each for each in blocks}
    for made in successors:
        _compare(made, by_id, known, findings)
    _compare_claims(by_ref, successors, is_gone, findings)
    clash = first_overlap([each.report.issued for each in successors])
    if clash:
        findings.append(f"new serial numbers given twice: {clash[0]} and {clash[1]}")
    activities = _activities(by_id, successors, known, findings)
    accounts = _accounts(by_id, successors, known, findings)
    return Matching(_groups(by_id, successors), activities, accounts, findings)


def _trace(
    report: BlockReport, by_ref: Mapping[str, OldBlock], findings: list[str]
) -> Successor | None:
    """Find the old blocks of a new one; None if none of them is ours."""
    units: dict[int, int] = defaultdict(int)
    strange = []
    for origin in report.origins:
        block = by_ref.get(origin.block_ref)
        if block is None:
            strange.append(origin.block_ref)
            continue
        units[block.id] += origin.units.quantity
        if not origin.units.lies_in(block.issued):
            findings.append(
                f"block {report.block_ref}: {origin.units} is no part of block {block.block_ref}"
            )
    if not units:
        # In the Board's account most blocks are none of our providers' business.
        return None
    if strange:
        findings.append(
            f"block {report.block_ref}: made of block {strange[0]} too, which is not known here"
        )
    if total(each.units for each in report.origins) != report.issued.quantity:
        findings.append(
            f"block {report.block_ref}: {report.issued.quantity} units, but made of "
            f"{total(each.units for each in report.origins)}"
        )
    return Successor(report, dict(units))


def _compare(
    made: Successor, by_id: Mapping[int, OldBlock], known: Known, findings: list[str]
) -> None:
    """Make sure that units are still what they were."""
    report = made.report
    if (report.account_ref, report.block_ref) in known.blocks:
        findings.append(f"block {report.block_ref}: here already, in account {report.account_ref}")
    for block_id in made.units:
        old = by_id[block_id]
        facts = (
            ("unit type", old.unit_type, report.unit_type),
            ("host Party", old.party, report.party),
            ("vintage", old.vintage, report.vintage),
            (
                "monitoring period",
                f"{old.monitoring[0]} to {old.monitoring[1]}",
                f"{report.monitoring_start} to {report.monitoring_end}",
            ),
        )
        for name, was, now in facts:
            if was != now:
                findings.append(
                    f"block {old.block_ref}: {name} was {was}, is {now} in {report.block_ref}"
                )
        partly = report.obstacle is Obstacle.PROCEEDS_PARTLY and old.allows_partial
        if old.promised and not report.eligible and not partly:
            findings.append(
                f"block {old.block_ref}: {old.promised} units are promised, and the new registry "
                f"lets {report.block_ref} not be cancelled: {report.obstacle}"
            )


def _compare_claims(
    by_ref: Mapping[str, OldBlock],
    successors: Sequence[Successor],
    is_gone: Callable[[SerialRange], bool],
    findings: list[str],
) -> None:
    """Make sure that every unit that is held has one successor, and no other unit has."""
    claims: dict[str, list[SerialRange]] = defaultdict(list)
    for made in successors:
        for origin in made.report.origins:
            if origin.block_ref in by_ref:
                claims[origin.block_ref].append(origin.units)
    for ref, block in by_ref.items():
        own = claims.get(ref, [])
        if not own:
            if block.held or block.promised:
                findings.append(
                    f"block {ref} in {block.account_ref}: no successor of its {block.held} units"
                )
            continue
        clash = first_overlap(own)
        if clash:
            findings.append(f"block {ref}: claimed twice: {clash[0]} and {clash[1]}")
        if total(own) != block.held:
            findings.append(f"block {ref}: {block.held} units held, successors hold {total(own)}")
        findings.extend(
            f"block {ref}: {each} was cancelled, at least in part, and is claimed"
            for each in own
            if is_gone(each)
        )


def _activities(
    by_id: Mapping[int, OldBlock],
    successors: Sequence[Successor],
    known: Known,
    findings: list[str],
) -> dict[int, str]:
    """Say what number each activity has there; one is one, there and here."""
    found: dict[int, str] = {}
    owner: dict[str, int] = {}
    for made in successors:
        ref = made.report.activity_ref
        if not ref.strip():
            findings.append(f"block {made.report.block_ref}: of no project")
        for block_id in made.units:
            old = by_id[block_id]
            if found.setdefault(old.activity_id, ref) != ref:
                findings.append(
                    f"project {old.activity_ref}: is {found[old.activity_id]} there, and {ref} too"
                )
            if owner.setdefault(ref, old.activity_id) != old.activity_id:
                findings.append(
                    f"block {made.report.block_ref}: units of project {old.activity_ref} "
                    f"under {ref}, which is another project"
                )
            if known.activities.get(ref, old.activity_id) != old.activity_id:
                findings.append(
                    f"project {old.activity_ref}: {ref} is registered here as another project"
                )
    return found


def _accounts(
    by_id: Mapping[int, OldBlock],
    successors: Sequence[Successor],
    known: Known,
    findings: list[str],
) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    owners: dict[str, set[int]] = defaultdict(set)
    for made in successors:
        ref = made.report.account_ref
        for block_id in made.units:
            old = by_id[block_id]
            owners[ref].add(old.provider_id)
            if ref not in found[old.account_ref]:
                found[old.account_ref].append(ref)
            if known.owners.get(ref, old.provider_id) != old.provider_id:
                findings.append(
                    f"block {old.block_ref}: its successor lies in {ref}, another provider's account"
                )
        if len({by_id[each].provider_id for each in made.units}) > 1:
            findings.append(f"block {made.report.block_ref}: units of two providers in one")
    return dict(found)


def _groups(by_id: Mapping[int, OldBlock], successors: Sequence[Successor]) -> list[Group]:
    """Put together what was split or merged among itself."""
    belongs: dict[int, list[int]] = defaultdict(list)
    for number, made in enumerate(successors):
        for block_id in made.units:
            belongs[block_id].append(number)
    groups, seen = [], set()
    for start in sorted(belongs):
        if start in seen:
            continue
        blocks, numbers, ahead = [start], list[int](), [start]
        seen.add(start)
        while ahead:
            for number in belongs[ahead.pop()]:
                if number in numbers:
                    continue
                numbers.append(number)
                fresh = [each for each in successors[number].units if each not in seen]
                seen.update(fresh)
                blocks += fresh
                ahead += fresh
        groups.append(
            Group(
                [by_id[each] for each in sorted(blocks)],
                [successors[number] for number in sorted(numbers)],
            )
        )
    return groups
