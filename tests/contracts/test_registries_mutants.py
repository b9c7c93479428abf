"""Each test of the registry contract catches a connector with the fault it is about.

A mutant is a good connector of the sandbox's final Article 6.4 registry, spoilt in one way.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cnn_offset.domain.units import Obstacle, SerialRange
from cnn_offset.plugins.errors import (
    OutcomeUnknownError,
    PluginError,
    RefusedError,
    UnavailableError,
)
from cnn_offset.plugins.registries import _http, a64_final
from cnn_offset.plugins.registries.a64_final import A64FinalConnector
from cnn_offset.plugins.registries.base import (
    BlockPage,
    BlockReport,
    CancellationPage,
    CancellationReport,
    CancellationRequest,
    RegistryConnector,
    ReportStatus,
)
from cnn_offset.testing.registries import BaseConnectorContract, RegistryWorld

Good = A64FinalConnector
Report, Request = CancellationReport, CancellationRequest
Status = ReportStatus
NOW = datetime(2026, 11, 22, tzinfo=UTC)


class Nameless(Good):
    """Has no title."""

    title = ""


class TakesAnySetting(Good):
    """Its settings swallow a typo."""

    class Settings(_http.ConnectionSettings):
        model_config = {"extra": "ignore"}


class SettlesAtOnce(Good):
    """Thinks that nothing can still be on its way."""

    @property
    def settle(self) -> timedelta:
        return timedelta(milliseconds=100)


class ReadsOnePage(Good):
    """Does not follow pages."""

    def list_blocks(self, account_ref: str) -> Iterator[BlockReport]:
        for number, block in enumerate(super().list_blocks(account_ref)):
            if number < 3:
                yield block


class ReadsPagesTwice(Good):
    """Lists a block twice."""

    def list_blocks(self, account_ref: str) -> Iterator[BlockReport]:
        for block in super().list_blocks(account_ref):
            yield block
            yield block


class ListsOtherAccounts(Good):
    """Lists what it can see, whoever asks."""

    def list_blocks(self, account_ref: str) -> Iterator[BlockReport]:
        yield from super().list_blocks("ACC-1")
        yield from super().list_blocks("ACC-2")


class TakesIssuedForHeld(Good):
    """Reports the size of the block as what is left of it."""

    def list_blocks(self, account_ref: str) -> Iterator[BlockReport]:
        for block in super().list_blocks(account_ref):
            yield dataclasses.replace(block, held=block.issued.quantity)


class ThinksAllEligible(Good):
    """Passes over the share of proceeds."""

    def list_blocks(self, account_ref: str) -> Iterator[BlockReport]:
        for block in super().list_blocks(account_ref):
            yield dataclasses.replace(block, obstacle=None)


class MixesUpReasons(Good):
    """Says no, but for another reason than the registry's."""

    def list_blocks(self, account_ref: str) -> Iterator[BlockReport]:
        for block in super().list_blocks(account_ref):
            yield dataclasses.replace(block, obstacle=block.obstacle and Obstacle.REFUSED)


class TakesErrorForEmptyAccount(Good):
    """Lists nothing where it could not look."""

    def list_blocks(self, account_ref: str) -> Iterator[BlockReport]:
        try:
            yield from super().list_blocks(account_ref)
        except PluginError:
            return


class CancelsOneMore(Good):
    """Asks for another quantity."""

    def cancel(self, request: Request) -> Report:
        return super().cancel(dataclasses.replace(request, quantity=request.quantity + 1))


class WritesAscii(Good):
    """Loses letters of names."""

    def cancel(self, request: Request) -> Report:
        plain = request.beneficiary.encode("ascii", "replace").decode()
        return super().cancel(dataclasses.replace(request, beneficiary=plain))


class _Changed(Good):
    """Reports something else than the registry does."""

    def changed(self, report: Report) -> Report:
        raise NotImplementedError

    def cancel(self, request: Request) -> Report:
        return self.changed(super().cancel(request))

    def fetch(self, key: str) -> Report:
        return self.changed(super().fetch(key))


class JoinsRanges(_Changed):
    """Reports first to last, whatever lies between."""

    def changed(self, report: Report) -> Report:
        if len(report.ranges) < 2:
            return report
        first, last = report.ranges[0], report.ranges[-1]
        joined = SerialRange(first.series, first.first, last.last, first.first_text, last.last_text)
        return dataclasses.replace(report, ranges=[joined])


class TellsOwnTime(_Changed):
    """Tells the time of the machine it runs on."""

    def changed(self, report: Report) -> Report:
        return dataclasses.replace(report, registry_time=datetime.now(UTC))


class WritesNoReference(_Changed):
    """Leaves out the transaction's number."""

    def changed(self, report: Report) -> Report:
        return dataclasses.replace(report, registry_ref="")


class NewReferenceEachTime(_Changed):
    """Answers a look-up with another transaction's number."""

    def changed(self, report: Report) -> Report:
        ref = f"{report.registry_ref}{time.monotonic_ns()}" if report.registry_ref else ""
        return dataclasses.replace(report, registry_ref=ref)


class EchoesTheOrder(Good):
    """Reports the quantity that was asked for."""

    def cancel(self, request: Request) -> Report:
        self.asked = request.quantity
        return super().cancel(request)

    def fetch(self, key: str) -> Report:
        report = super().fetch(key)
        if not report.ranges:
            return report
        only = report.ranges[0]
        longer = dataclasses.replace(only, last=only.first + self.asked - 1)
        return dataclasses.replace(report, ranges=[longer])


class SharesState(Good):
    """Keeps the request where another thread finds it."""

    def cancel(self, request: Request) -> Report:
        self.request = request
        time.sleep(0.02)
        return super().cancel(self.request)


class HidesRefusal(_Changed):
    """Takes no for later."""

    def changed(self, report: Report) -> Report:
        if report.status is Status.REFUSED:
            return Report(Status.ACCEPTED, report.registry_time)
        return report


class RaisesRefusal(Good):
    """Raises where it should report."""

    def cancel(self, request: Request) -> Report:
        report = super().cancel(request)
        if report.status is Status.REFUSED:
            raise RefusedError(report.reason)
        return report

    def fetch(self, key: str) -> Report:
        report = super().fetch(key)
        if report.status is Status.REFUSED:
            raise RefusedError(report.reason)
        return report


class SilentRefusal(_Changed):
    """Keeps the registry's words to itself."""

    def changed(self, report: Report) -> Report:
        return dataclasses.replace(report, reason="")


class FillsInTheAccount(Good):
    """Looks for the account in which the block is, instead of naming the one it was told."""

    def cancel(self, request: Request) -> Report:
        return super().cancel(dataclasses.replace(request, account_ref="ACC-2"))


class FindsAnything(Good):
    """Answers with whatever was cancelled last."""

    def cancel(self, request: Request) -> Report:
        self.last = request.key
        return super().cancel(request)

    def fetch(self, key: str) -> Report:
        return super().fetch(getattr(self, "last", key))


class TakesErrorForNotKnown(Good):
    """Says that the registry does not know, where it has not said so."""

    def fetch(self, key: str) -> Report:
        try:
            return super().fetch(key)
        except OutcomeUnknownError:
            return Report(Status.NOT_KNOWN, NOW)


class TakesSilenceForNo(Good):
    """Reports a refusal where no answer came."""

    def cancel(self, request: Request) -> Report:
        try:
            return super().cancel(request)
        except OutcomeUnknownError:
            return Report(Status.REFUSED, NOW, reason="no answer")


class TakesSilenceForYes(Good):
    """Reports acceptance where no answer came."""

    def cancel(self, request: Request) -> Report:
        try:
            return super().cancel(request)
        except OutcomeUnknownError:
            return Report(Status.ACCEPTED, NOW)


class TakesSilenceForNothing(Good):
    """Says that the request never left, where it may have."""

    def cancel(self, request: Request) -> Report:
        try:
            return super().cancel(request)
        except OutcomeUnknownError as error:
            raise UnavailableError(str(error)) from error


class TriesAgain(Good):
    """Repeats a request that got no answer, then gives up."""

    def cancel(self, request: Request) -> Report:
        try:
            return super().cancel(request)
        except OutcomeUnknownError:
            super().cancel(request)
            raise


class Patient(Good):
    """Waits as long as the registry likes."""

    def cancel(self, request: Request) -> Report:
        started = time.monotonic()
        try:
            return super().cancel(request)
        except OutcomeUnknownError:
            time.sleep(max(0, 3.6 - (time.monotonic() - started)))
            raise


class CannotTellRefusedConnection(Good):
    """Calls everything unknown."""

    def cancel(self, request: Request) -> Report:
        try:
            return super().cancel(request)
        except UnavailableError as error:
            raise OutcomeUnknownError(str(error)) from error


class ListsOnePageOfCancellations(Good):
    """Says after the first page that there is no other."""

    def list_cancellations(self, cursor: str) -> CancellationPage:
        return dataclasses.replace(super().list_cancellations(cursor), more=False)


class ListsNewestFirst(Good):
    """Turns each page round."""

    def list_cancellations(self, cursor: str) -> CancellationPage:
        page = super().list_cancellations(cursor)
        return dataclasses.replace(page, entries=page.entries[::-1])


class BeginsAgain(Good):
    """Forgets where it was as soon as the list is at its end."""

    def list_cancellations(self, cursor: str) -> CancellationPage:
        page = super().list_cancellations(cursor)
        return page if page.more else dataclasses.replace(page, cursor="")


class ListsOursOnly(Good):
    """Leaves out what others have cancelled."""

    def list_cancellations(self, cursor: str) -> CancellationPage:
        page = super().list_cancellations(cursor)
        ours = [each for each in page.entries if each.key]
        return dataclasses.replace(page, entries=ours)


class TakesErrorForEmptyList(Good):
    """Lists no cancellation where it could not look."""

    def list_cancellations(self, cursor: str) -> CancellationPage:
        try:
            return super().list_cancellations(cursor)
        except PluginError:
            return CancellationPage((), cursor, more=False, registry_time=NOW)


class HidesDepartures(Good):
    """Does not tell which blocks have left."""

    def page_blocks(
        self, account_ref: str, cursor: str = "", *, changed_since: datetime | None = None
    ) -> BlockPage:
        page = super().page_blocks(account_ref, cursor, changed_since=changed_since)
        return dataclasses.replace(page, gone=())


class ByItsOwnClock(Good):
    """Asks for changes since a time of its own."""

    def page_blocks(
        self, account_ref: str, cursor: str = "", *, changed_since: datetime | None = None
    ) -> BlockPage:
        later = changed_since and changed_since + timedelta(days=1)
        return super().page_blocks(account_ref, cursor, changed_since=later)


class Impatient(Good):
    """Does not say how long to wait."""

    def cancel(self, request: Request) -> Report:
        try:
            return super().cancel(request)
        except OutcomeUnknownError as error:
            raise OutcomeUnknownError(str(error)) from error


class PromisesTooMuch(Good):
    """Says that its registry de-duplicates, which it does not."""

    @property
    def deduplicates(self) -> bool:
        return True


class TellsTheToken(Good):
    """Puts what it sent into its error."""

    def cancel(self, request: Request) -> Report:
        try:
            return super().cancel(request)
        except OutcomeUnknownError as error:
            sent = {"Authorization": self.settings.token.get_secret_value()}
            raise OutcomeUnknownError(json.dumps(sent)) from error


class PrintsTheToken(Good):
    """Its settings show the token."""

    class Settings(_http.ConnectionSettings):
        def __repr__(self) -> str:
            return f"token={self.token.get_secret_value()}"


MUTANTS: list[tuple[str, type[RegistryConnector]]] = [
    ("declares_itself", Nameless),
    ("declares_itself", TakesAnySetting),
    ("settles_after_its_own_patience", SettlesAtOnce),
    ("lists_every_block_once", ReadsOnePage),
    ("lists_every_block_once", ReadsPagesTwice),
    ("lists_one_account", ListsOtherAccounts),
    ("lists_what_is_held", TakesIssuedForHeld),
    ("lists_obstacles", ThinksAllEligible),
    ("lists_obstacles", MixesUpReasons),
    ("failed_listing_is_an_error", TakesErrorForEmptyAccount),
    ("cancels_what_was_asked", CancelsOneMore),
    ("cancels_what_was_asked", WritesNoReference),
    ("passes_words_unchanged", WritesAscii),
    ("reports_every_range", JoinsRanges),
    ("reports_what_was_done", EchoesTheOrder),
    ("tells_the_registrys_time", TellsOwnTime),
    ("serves_threads", SharesState),
    ("refuses_too_many", RaisesRefusal),
    ("refuses_too_many", SilentRefusal),
    ("refuses_unknown_block", RaisesRefusal),
    ("refuses_wrong_account", FillsInTheAccount),
    ("refuses_ineligible", SilentRefusal),
    ("refuses_when_closed", HidesRefusal),
    ("lists_every_cancellation_once", ListsOnePageOfCancellations),
    ("lists_every_cancellation_once", ListsNewestFirst),
    ("list_goes_on_from_its_cursor", BeginsAgain),
    ("lists_other_channels", ListsOursOnly),
    ("failed_list_of_cancellations_is_an_error", TakesErrorForEmptyList),
    ("tells_what_changed", HidesDepartures),
    ("tells_what_changed", ByItsOwnClock),
    ("heeds_how_long_to_wait", Impatient),
    ("heeds_how_long_to_wait", TriesAgain),
    ("unknown_key_is_not_known", FindsAnything),
    ("look_up_agrees_with_answer", NewReferenceEachTime),
    ("failed_look_up_is_unknown", TakesErrorForNotKnown),
    ("lost_answer_is_unknown_then_found", TakesSilenceForNo),
    ("silence_is_unknown_and_not_repeated", TriesAgain),
    ("silence_is_unknown_and_not_repeated", TakesSilenceForNothing),
    ("loses_patience", Patient),
    ("error_is_unknown_and_not_repeated", TriesAgain),
    ("error_is_unknown_and_not_repeated", TakesSilenceForNo),
    ("nonsense_is_unknown", TakesSilenceForYes),
    ("no_connection_is_unavailable", CannotTellRefusedConnection),
    ("late_deed_is_within_settle", SettlesAtOnce),
    ("repeated_key_cancels_once_if_promised", PromisesTooMuch),
    ("keeps_the_secret", TellsTheToken),
    ("keeps_the_secret", PrintsTheToken),
]
CAUGHT = (AssertionError, PluginError, pytest.fail.Exception)


class Harsh(BaseConnectorContract):
    """The contract, not collected: its tests are called by name."""

    __test__ = False


@pytest.mark.parametrize(
    ("test", "mutant"), MUTANTS, ids=[f"{test}-{kind.__name__}" for test, kind in MUTANTS]
)
def test_contract_catches(
    test: str,
    mutant: type[Good],
    registry_world: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # For the mutants whose cancellation never ends: the contract asks 300 times.
    monkeypatch.setattr(RegistryWorld, "wait", lambda _: time.sleep(0.003))
    world = registry_world("a64-final")
    good = world.connector

    def spoilt(connector: RegistryConnector) -> RegistryConnector:
        assert isinstance(connector, a64_final.A64FinalConnector)
        return mutant(mutant.Settings.model_validate(dict(connector.settings)))

    make_unreachable = world.unreachable
    world.connector = spoilt(good)
    world.unreachable = lambda: spoilt(make_unreachable())
    with pytest.raises(CAUGHT):
        getattr(Harsh(), f"test_{test}")(world)


def test_every_test_of_the_contract_has_its_mutant() -> None:
    tests = {name[5:] for name in dir(BaseConnectorContract) if name.startswith("test_")}
    assert {test for test, _ in MUTANTS} == tests
