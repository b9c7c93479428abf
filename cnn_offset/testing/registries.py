"""The contract of a registry connector.

    class TestMine(BaseConnectorContract):
        @pytest.fixture
        def world(self):
            with my_registrys_sandbox() as sandbox:
                yield MyWorld(sandbox)      # a RegistryWorld

The world is a registry that can be told to misbehave, and its books. All the contract
knows of the connector is its interface.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from pydantic import ValidationError

from cnn_offset.domain.units import Obstacle, first_overlap, total
from cnn_offset.plugins.errors import (
    OutcomeUnknownError,
    PluginError,
    RefusedError,
    UnavailableError,
)
from cnn_offset.plugins.registries.base import (
    BlockReport,
    CancellationEntry,
    CancellationReport,
    CancellationRequest,
    RegistryConnector,
    ReportStatus,
)
from cnn_offset.plugins.settings import PluginSettings
from cnn_offset.testing.registries_world import Misdeed, RegistryWorld

__all__ = ["BaseConnectorContract", "Misdeed", "RegistryWorld"]

BLOCKS = 7
"""How many blocks the contract lists; the world's pages must be shorter."""


class BaseConnectorContract:
    """Every registry connector passes this; subclass it and add a fixture ``world``."""

    # What it says of itself

    def test_declares_itself(self, world: RegistryWorld) -> None:
        """Its class says what it is, and its settings refuse a typo."""
        connector = world.connector
        assert connector.id and connector.title, "id and title are needed"
        assert connector.api_version == RegistryConnector.api_version
        assert issubclass(connector.Settings, PluginSettings)
        with pytest.raises(ValidationError):
            type(connector.settings).model_validate(
                dict(connector.settings) | {"no_such_setting": 1}
            )

    def test_settles_after_its_own_patience(self, world: RegistryWorld) -> None:
        """A request we have given up on can still arrive, so settling takes longer."""
        assert world.connector.settle > timedelta(seconds=world.patience)

    # Blocks

    def test_lists_every_block_once(self, world: RegistryWorld) -> None:
        """Pages are followed to the end."""
        seeded = [world.seed(10 + number) for number in range(BLOCKS)]
        listed = list(world.connector.list_blocks(world.account))
        assert sorted(each.block_ref for each in listed) == sorted(seeded)
        sizes = {each.block_ref: each.issued.quantity for each in listed}
        assert [sizes[ref] for ref in seeded] == [10 + number for number in range(BLOCKS)]
        assert first_overlap([each.issued for each in listed]) is None

    def test_lists_one_account(self, world: RegistryWorld) -> None:
        """Blocks of other accounts are not listed."""
        mine = world.seed(5)
        world.seed(5, account=world.other_account)
        listed = list(world.connector.list_blocks(world.account))
        assert [(each.block_ref, each.account_ref) for each in listed] == [(mine, world.account)]

    def test_lists_what_is_held(self, world: RegistryWorld) -> None:
        """``held`` is what is left; the issued range stays as it was."""
        ref = world.seed(100, gone=[(10, 5)])
        assert _block(world, ref).held == 95
        _settled(world, world.connector.cancel(_request(world, ref, 20)), "key-1")
        after = _block(world, ref)
        assert (after.held, after.issued.quantity) == (75, 100)

    def test_lists_obstacles(self, world: RegistryWorld) -> None:
        """A block that may not be cancelled says so, and why."""
        seeded = {each: world.seed(5, obstacle=each) for each in (None, *world.obstacles)}
        listed = {
            each.block_ref: each.obstacle for each in world.connector.list_blocks(world.account)
        }
        assert {each: listed[ref] for each, ref in seeded.items()} == {
            each: each for each in seeded
        }
        assert _block(world, seeded[None]).eligible
        assert not _block(world, seeded[Obstacle.PROCEEDS_UNPAID]).eligible

    def test_failed_listing_is_an_error(self, world: RegistryWorld) -> None:
        """An error or nonsense never reads as an account without blocks."""
        world.seed(5)
        for misdeed in (Misdeed.ERROR_BEFORE, Misdeed.NONSENSE, Misdeed.SILENT_BEFORE):
            world.prepare(misdeed)
            with pytest.raises(OutcomeUnknownError):
                list(world.connector.list_blocks(world.account))

    # Cancelling

    def test_cancels_what_was_asked(self, world: RegistryWorld) -> None:
        """The whole report is there, and the registry's books agree with it."""
        ref = world.seed(100)
        report = _settled(world, world.connector.cancel(_request(world, ref, 30)), "key-1")
        assert report.status is ReportStatus.CONFIRMED
        assert report.registry_ref
        assert report.completed_at is not None and report.completed_at.tzinfo is not None
        assert total(report.ranges) == 30
        assert all(each.lies_in(_block(world, ref).issued) for each in report.ranges)
        assert world.audit() == {"key-1": 30}

    def test_passes_words_unchanged(self, world: RegistryWorld) -> None:
        """What is written for ever is what was asked, in any script."""
        ref = world.seed(10)
        name, reason = 'Łódź & Søn <Đà Nẵng> "S.A."', "Événement ’26; 100 % – {name} %s \\n"
        asked = _request(world, ref, 1, beneficiary=name, reason=reason)
        _settled(world, world.connector.cancel(asked), "key-1")
        assert world.recorded("key-1") == (name, reason)

    def test_reports_every_range(self, world: RegistryWorld) -> None:
        """Where others have taken units out of the block, all pieces are reported."""
        ref = world.seed(100, gone=[(10, 5), (20, 1)])
        report = _settled(world, world.connector.cancel(_request(world, ref, 30)), "key-1")
        assert [each.quantity for each in report.ranges] == [10, 5, 15]
        assert first_overlap(report.ranges) is None

    def test_reports_what_was_done(self, world: RegistryWorld) -> None:
        """The report is the registry's word, not an echo of the order."""
        ref = world.seed(100)
        world.prepare(Misdeed.FEWER)
        report = _settled(world, world.connector.cancel(_request(world, ref, 30)), "key-1")
        assert total(report.ranges) == 29 == world.audit()["key-1"]

    def test_tells_the_registrys_time(self, world: RegistryWorld) -> None:
        """``registry_time`` moves with the registry's clock and not with ours."""
        before = world.connector.fetch("key-1").registry_time
        world.advance(timedelta(hours=3))
        ref = world.seed(5)
        answered = world.connector.cancel(_request(world, ref, 1))
        asked = world.connector.fetch("key-1")
        assert answered.registry_time - before >= timedelta(hours=3)
        assert asked.registry_time - before >= timedelta(hours=3)

    def test_serves_threads(self, world: RegistryWorld) -> None:
        """Calls at the same time do not mix."""
        ref = world.seed(1000)
        sizes = {f"key-{number}": number for number in range(1, 9)}

        def cancel(key: str) -> CancellationReport:
            return world.connector.cancel(_request(world, ref, sizes[key], key=key))

        with ThreadPoolExecutor(len(sizes)) as pool:
            answers = dict(zip(sizes, pool.map(cancel, sizes), strict=True))
        reports = {key: _settled(world, answers[key], key) for key in sizes}
        assert {key: total(each.ranges) for key, each in reports.items()} == sizes
        assert world.audit() == sizes

    # Refusals

    def test_refuses_too_many(self, world: RegistryWorld) -> None:
        """More than the block holds is refused, with the registry's words."""
        ref = world.seed(100, gone=[(0, 90)])
        _refused(world, _request(world, ref, 11))

    def test_refuses_unknown_block(self, world: RegistryWorld) -> None:
        """A block that is not there is refused."""
        world.seed(100)
        _refused(world, _request(world, "no-such-block", 1))

    def test_refuses_wrong_account(self, world: RegistryWorld) -> None:
        """A block in another account than named is refused: both are sent."""
        _refused(world, _request(world, world.seed(100, account=world.other_account), 1))

    def test_refuses_ineligible(self, world: RegistryWorld) -> None:
        """A block that says it may not be cancelled is refused."""
        for obstacle in world.obstacles:
            _refused(
                world, _request(world, world.seed(100, obstacle=obstacle), 1, key=f"key-{obstacle}")
            )

    def test_refuses_when_closed(self, world: RegistryWorld) -> None:
        """A closed registry refuses; it is not silent."""
        ref = world.seed(100)
        world.close_registry()
        _refused(world, _request(world, ref, 1))

    # The list of cancellations

    def test_lists_every_cancellation_once(self, world: RegistryWorld) -> None:
        """In the order of completion, each with its key, place and serial numbers."""
        ref = world.seed(100, gone=[(3, 1)])
        reports = {
            f"key-{number}": _settled(
                world,
                world.connector.cancel(_request(world, ref, number, key=f"key-{number}")),
                f"key-{number}",
            )
            for number in range(1, BLOCKS + 1)
        }
        listed, _ = _listed(world, "")
        assert [each.key for each in listed] == list(reports)
        for each in listed:
            report = reports[each.key]
            assert (each.account_ref, each.block_ref) == (world.account, ref)
            assert each.registry_ref == report.registry_ref
            assert sorted(each.ranges) == sorted(report.ranges)
            assert each.completed_at == report.completed_at

    def test_list_goes_on_from_its_cursor(self, world: RegistryWorld) -> None:
        """What comes while the list is read is neither missed nor listed twice."""
        ref = world.seed(100)

        def cancel(*numbers: int) -> None:
            for number in numbers:
                key = f"key-{number}"
                _settled(world, world.connector.cancel(_request(world, ref, 1, key=key)), key)

        cancel(1, 2, 3, 4)
        page = world.connector.list_cancellations("")
        keys = [each.key for each in page.entries]
        cancel(5)
        rest, end = _listed(world, page.cursor) if page.more else ([], page.cursor)
        keys += [each.key for each in rest]
        cancel(6, 7)
        last, _ = _listed(world, end)
        keys += [each.key for each in last]
        assert keys == [f"key-{number}" for number in range(1, 8)]
        again, _ = _listed(world, page.cursor)
        assert [each.key for each in again] == keys[len(page.entries) :]
        assert page.registry_time is not None, "the registry's clock is needed to judge"

    def test_lists_other_channels(self, world: RegistryWorld) -> None:
        """What others cancelled is in the list, without a key."""
        ref = world.seed(100)
        if not world.cancel_elsewhere(ref, 7):
            pytest.skip("the registry has no other channel")
        _settled(world, world.connector.cancel(_request(world, ref, 5)), "key-1")
        listed, _ = _listed(world, "")
        assert [(each.key, total(each.ranges)) for each in listed] == [("", 7), ("key-1", 5)]

    def test_failed_list_of_cancellations_is_an_error(self, world: RegistryWorld) -> None:
        """An error page is no empty list, and a cursor that is none is no beginning."""
        for misdeed in (Misdeed.ERROR_BEFORE, Misdeed.NONSENSE, Misdeed.SILENT_BEFORE):
            world.prepare(misdeed)
            with pytest.raises(OutcomeUnknownError):
                world.connector.list_cancellations("")
        with pytest.raises((RefusedError, OutcomeUnknownError)):
            world.connector.list_cancellations("no such cursor")

    # What has changed

    def test_tells_what_changed(self, world: RegistryWorld) -> None:
        """Where a connector tells changes, it tells all of them, with what has left."""
        changed, left, *_ = (world.seed(10) for _ in range(BLOCKS))
        first = world.connector.page_blocks(world.account)
        if first.registry_time is None:
            pytest.skip("the connector does not tell what changed")
        _settled(world, world.connector.cancel(_request(world, changed, 1)), "key-1")
        told_of_gone = world.lose(left)
        blocks, gone, cursor = {}, set(), ""
        while True:
            page = world.connector.page_blocks(
                world.account, cursor, changed_since=first.registry_time
            )
            blocks.update({each.block_ref: each.held for each in page.blocks})
            gone.update(page.gone)
            if not page.more:
                break
            cursor = page.cursor
        assert blocks.get(changed) == 9
        assert left not in blocks and (left in gone or not told_of_gone)

    # Patience

    def test_heeds_how_long_to_wait(self, world: RegistryWorld) -> None:
        """Who is turned away learns for how long, and nothing was done or asked again."""
        ref, wait = world.seed(100), timedelta(seconds=2)
        calls: list[Callable[[], object]] = [
            lambda: world.connector.cancel(_request(world, ref, 5)),
            lambda: world.connector.fetch("key-1"),
            lambda: world.connector.list_cancellations(""),
        ]
        for call in calls:
            if not world.slow_down(wait):
                pytest.skip("the registry never turns anybody away")
            with pytest.raises(OutcomeUnknownError) as error:
                call()
            assert error.value.retry_after == wait
        assert world.connector.fetch("key-1").status is ReportStatus.NOT_KNOWN
        assert world.audit() == {}

    # Looking up

    def test_unknown_key_is_not_known(self, world: RegistryWorld) -> None:
        """Also where the books have other cancellations."""
        assert world.connector.fetch("key-2").status is ReportStatus.NOT_KNOWN
        ref = world.seed(100)
        _settled(world, world.connector.cancel(_request(world, ref, 5)), "key-1")
        for key in ("key-2", "key-", "key-11", "%"):
            assert world.connector.fetch(key).status is ReportStatus.NOT_KNOWN, key

    def test_look_up_agrees_with_answer(self, world: RegistryWorld) -> None:
        """Asked later, the same comes out, however often."""
        ref = world.seed(100, gone=[(3, 1)])
        first = _settled(world, world.connector.cancel(_request(world, ref, 5)), "key-1")
        for _ in range(2):
            again = world.connector.fetch("key-1")
            assert again.status is ReportStatus.CONFIRMED
            assert list(again.ranges) == list(first.ranges)
            assert again.registry_ref == first.registry_ref
            assert again.completed_at == first.completed_at
        assert world.audit() == {"key-1": 5}

    def test_failed_look_up_is_unknown(self, world: RegistryWorld) -> None:
        """An error page is not the registry saying that it does not know the key."""
        for misdeed in (Misdeed.ERROR_BEFORE, Misdeed.NONSENSE, Misdeed.SILENT_BEFORE):
            world.prepare(misdeed)
            with pytest.raises(OutcomeUnknownError):
                world.connector.fetch("key-1")

    # Bad days

    def test_lost_answer_is_unknown_then_found(self, world: RegistryWorld) -> None:
        """Done, but the answer got lost: unknown, then found, and done once."""
        ref = world.seed(100)
        world.prepare(Misdeed.SILENT_AFTER)
        with pytest.raises(OutcomeUnknownError):
            world.connector.cancel(_request(world, ref, 5))
        report = _eventually(world, "key-1")
        assert report.status is ReportStatus.CONFIRMED and total(report.ranges) == 5
        assert world.audit() == {"key-1": 5}

    def test_silence_is_unknown_and_not_repeated(self, world: RegistryWorld) -> None:
        """Nothing was done, nobody said so, and the connector did not try again."""
        ref = world.seed(100)
        world.prepare(Misdeed.SILENT_BEFORE)
        with pytest.raises(OutcomeUnknownError):
            world.connector.cancel(_request(world, ref, 5))
        assert world.connector.fetch("key-1").status is ReportStatus.NOT_KNOWN
        assert world.audit() == {}

    def test_loses_patience(self, world: RegistryWorld) -> None:
        """A silent registry does not hold the connector."""
        ref = world.seed(100)
        world.prepare(Misdeed.SILENT_BEFORE)
        started = time.monotonic()
        with pytest.raises(OutcomeUnknownError):
            world.connector.cancel(_request(world, ref, 5))
        assert time.monotonic() - started < 3 * world.patience

    def test_error_is_unknown_and_not_repeated(self, world: RegistryWorld) -> None:
        """A 500 may come before or after the deed."""
        ref = world.seed(100)
        world.prepare(Misdeed.ERROR_BEFORE)
        with pytest.raises(OutcomeUnknownError):
            world.connector.cancel(_request(world, ref, 5, key="key-1"))
        world.prepare(Misdeed.ERROR_AFTER)
        with pytest.raises(OutcomeUnknownError):
            world.connector.cancel(_request(world, ref, 6, key="key-2"))
        assert _eventually(world, "key-2").status is ReportStatus.CONFIRMED
        assert world.audit() == {"key-2": 6}

    def test_nonsense_is_unknown(self, world: RegistryWorld) -> None:
        """A gateway's friendly page is neither yes nor no."""
        ref = world.seed(100)
        world.prepare(Misdeed.NONSENSE)
        with pytest.raises(OutcomeUnknownError):
            world.connector.cancel(_request(world, ref, 5))

    def test_no_connection_is_unavailable(self, world: RegistryWorld) -> None:
        """Where nobody listens, nothing was sent, and that is told apart."""
        nobody = world.unreachable()
        with pytest.raises(UnavailableError):
            nobody.cancel(_request(world, "block", 1))
        with pytest.raises(UnavailableError):
            nobody.fetch("key-1")
        with pytest.raises(UnavailableError):
            list(nobody.list_blocks(world.account))
        with pytest.raises(UnavailableError):
            nobody.list_cancellations("")

    def test_late_deed_is_within_settle(self, world: RegistryWorld) -> None:
        """What happens after we stopped waiting happens before ``settle`` is over."""
        ref = world.seed(100)
        sent = world.connector.fetch("key-1").registry_time
        world.prepare(Misdeed.LATE)
        with pytest.raises(OutcomeUnknownError):
            world.connector.cancel(_request(world, ref, 5))
        report = _eventually(world, "key-1")
        assert report.status is ReportStatus.CONFIRMED
        assert report.completed_at is not None
        assert report.completed_at - sent <= world.connector.settle
        assert world.audit() == {"key-1": 5}

    def test_repeated_key_cancels_once_if_promised(self, world: RegistryWorld) -> None:
        """``deduplicates`` is true of the registry, also where the first answer was lost."""
        if not world.connector.deduplicates:
            pytest.skip("the connector does not promise that")
        ref = world.seed(100)
        asked = _request(world, ref, 5)
        world.prepare(Misdeed.SILENT_AFTER)
        with pytest.raises(OutcomeUnknownError):
            world.connector.cancel(asked)
        found = _eventually(world, "key-1")
        again = _settled(world, world.connector.cancel(asked), "key-1")
        assert list(again.ranges) == list(found.ranges)
        assert world.audit() == {"key-1": 5}

    def test_keeps_the_secret(self, world: RegistryWorld) -> None:
        """No error, report or print of the settings shows what we prove ourselves with."""
        ref = world.seed(5)
        asked = _request(world, ref, 5000)
        shown = [repr(world.connector.settings), str(world.connector.settings)]
        for connector in (world.connector, world.unreachable()):
            for misdeed in (None, Misdeed.ERROR_BEFORE, Misdeed.NONSENSE, Misdeed.SILENT_BEFORE):
                if misdeed is not None and connector is world.connector:
                    world.prepare(misdeed)
                try:
                    shown.append(repr(connector.cancel(asked)))
                except PluginError as error:
                    shown.append("".join(traceback.format_exception(error)))
        assert not [each for each in shown if world.secret in each]


def _request(
    world: RegistryWorld,
    block_ref: str,
    quantity: int,
    *,
    key: str = "key-1",
    beneficiary: str = "Example Ltd",
    reason: str = "A reason",
) -> CancellationRequest:
    return CancellationRequest(
        key=key,
        account_ref=world.account,
        block_ref=block_ref,
        quantity=quantity,
        beneficiary=beneficiary,
        reason=reason,
    )


def _block(world: RegistryWorld, ref: str) -> BlockReport:
    return next(b for b in world.connector.list_blocks(world.account) if b.block_ref == ref)


def _listed(world: RegistryWorld, cursor: str) -> tuple[list[CancellationEntry], str]:
    """Follow the list of cancellations from a cursor to its end."""
    found: list[CancellationEntry] = []
    for _ in range(100):
        page = world.connector.list_cancellations(cursor)
        found += page.entries
        cursor = page.cursor
        if not page.more:
            return found, cursor
    raise AssertionError("a list without an end")


def _settled(world: RegistryWorld, report: CancellationReport, key: str) -> CancellationReport:
    """Follow an accepted cancellation to its end."""
    assert report.status is not ReportStatus.NOT_KNOWN, "cancel never answers not_known"
    for _ in range(300):
        if report.status is not ReportStatus.ACCEPTED:
            return report
        world.wait()
        report = world.connector.fetch(key)
        assert report.status is not ReportStatus.NOT_KNOWN, "an accepted key is known"
    raise AssertionError("accepted, but never finished")


def _eventually(world: RegistryWorld, key: str) -> CancellationReport:
    """Ask about a key, whose request may still be on its way, until there is an end."""
    for _ in range(300):
        report = world.connector.fetch(key)
        if report.status not in (ReportStatus.NOT_KNOWN, ReportStatus.ACCEPTED):
            return report
        world.wait()
    raise AssertionError("never heard of again")


def _refused(world: RegistryWorld, asked: CancellationRequest) -> None:
    try:
        report = _settled(world, world.connector.cancel(asked), asked.key)
    except RefusedError as error:
        raise AssertionError("a refusal is a report, not an error") from error
    assert report.status is ReportStatus.REFUSED
    assert report.reason, "the registry's words are missing"
    assert not report.ranges
    assert world.audit() == {}
