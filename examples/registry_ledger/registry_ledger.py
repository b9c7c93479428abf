"""A connector to a national ledger of carbon units, with nothing but its public interface."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any, ClassVar, TypeVar
from urllib.parse import quote

import requests
from pydantic import AwareDatetime, BaseModel, Field, SecretStr, ValidationError
from urllib3.exceptions import NewConnectionError

from cnn_offset.domain.units import Obstacle, SerialError, SerialRange, UnitType
from cnn_offset.plugins.errors import OutcomeUnknownError, RefusedError, UnavailableError
from cnn_offset.plugins.registries.base import (
    BlockReport,
    CancellationEntry,
    CancellationPage,
    CancellationReport,
    CancellationRequest,
    RegistryConnector,
    ReportStatus,
)
from cnn_offset.plugins.settings import PluginSettings

OBSTACLES = {"": None, "levy": Obstacle.PROCEEDS_UNPAID, "account": Obstacle.ACCOUNT_KIND}
Shape = TypeVar("Shape", bound=BaseModel)


class LedgerSettings(PluginSettings):
    """What an operator writes below ``[REGISTRIES.…]``."""

    base_url: str = Field(pattern="^https?://[^/]+$")
    api_key: SecretStr
    timeout_seconds: float = Field(10, gt=0, le=10)


class Lot(BaseModel):
    """A lot as the ledger tells it; a wrong type is an error, a field more is none."""

    lot: str
    activity: str
    party: str
    first: int
    last: int
    left: int
    monitored_from: date
    monitored_to: date
    hold: str


class Lots(BaseModel):
    lots: list[Lot]
    more: bool


class Entry(BaseModel):
    number: int
    key: str
    account: str
    lot: str
    spans: list[tuple[str, int, int]]
    done_at: AwareDatetime


class Done(BaseModel):
    now: AwareDatetime
    cancellation: Entry


class Entries(BaseModel):
    now: AwareDatetime
    cancellations: list[Entry]
    more: bool


class Refusal(BaseModel):
    now: AwareDatetime
    why: str


class LedgerConnector(RegistryConnector):
    """The ledger cancels at once, under a key of ours, and once for a key."""

    api_version = 2
    id = "ledger"
    title = "National ledger"
    Settings: ClassVar[type[PluginSettings]] = LedgerSettings
    settings: LedgerSettings
    deduplicates = True
    settle = timedelta(minutes=1)

    def list_blocks(self, account_ref: str) -> Iterator[BlockReport]:
        """List the lots of an account, a page after the other."""
        after, path = "", f"/accounts/{quote(account_ref, safe='')}/lots"
        while True:
            answer = self._call("GET", path, after=after)
            if answer.status_code == 404:
                raise RefusedError(_read(answer, Refusal).why, code="account")
            page = _read(answer, Lots)
            yield from (_block(each, account_ref) for each in page.lots)
            if not page.more:
                return
            after = page.lots[-1].lot

    def cancel(self, request: CancellationRequest) -> CancellationReport:
        """Ask the ledger to cancel, once."""
        wish = {"account": request.account_ref, "lot": request.block_ref}
        wish |= {"for": request.beneficiary, "because": request.reason}
        path = f"/cancellations/{quote(request.key, safe='')}"
        answer = self._call("PUT", path, {**wish, "units": request.quantity})
        if answer.status_code == 422:
            no = _read(answer, Refusal)
            return CancellationReport(ReportStatus.REFUSED, no.now, reason=no.why)
        return _report(answer)

    def fetch(self, key: str) -> CancellationReport:
        """Ask what became of a key."""
        answer = self._call("GET", f"/cancellations/{quote(key, safe='')}")
        if answer.status_code == 404:
            return CancellationReport(ReportStatus.NOT_KNOWN, _read(answer, Refusal).now)
        return _report(answer)

    def list_cancellations(self, cursor: str) -> CancellationPage:
        """List what was cancelled, in the ledger's order; its numbers are the cursor."""
        page = _read(self._call("GET", "/cancellations", after=cursor or "0"), Entries)
        found = [_entry(each) for each in page.cancellations]
        last = str(page.cancellations[-1].number) if page.cancellations else cursor
        return CancellationPage(found, last, page.more, page.now)

    def _call(self, method: str, path: str, wish: Any = None, **query: str) -> requests.Response:
        """Send one request, once, and say honestly what is known if no answer comes."""
        try:
            return requests.request(
                method,
                self.settings.base_url + path,
                params=query,
                json=wish,
                headers={"X-Api-Key": self.settings.api_key.get_secret_value()},
                timeout=(3, self.settings.timeout_seconds),
                allow_redirects=False,
            )
        except requests.RequestException as error:
            cause = getattr(error.args[0] if error.args else None, "reason", None)
            if isinstance(error, requests.ConnectTimeout) or isinstance(cause, NewConnectionError):
                raise UnavailableError("no connection") from None
            raise OutcomeUnknownError(f"no answer: {type(error).__name__}") from None


def _read(answer: requests.Response, shape: type[Shape]) -> Shape:
    if answer.status_code not in (200, 201, 404, 422):
        wait = answer.headers.get("Retry-After", "")
        raise OutcomeUnknownError(
            f"answer {answer.status_code}",
            retry_after=timedelta(seconds=int(wait)) if wait.isdecimal() else None,
        )
    try:
        return shape.model_validate_json(answer.content)
    except ValidationError:
        raise OutcomeUnknownError(f"answer {answer.status_code} that is not as agreed") from None


def _report(answer: requests.Response) -> CancellationReport:
    done = _read(answer, Done)
    entry = _entry(done.cancellation)
    return CancellationReport(
        ReportStatus.CONFIRMED, done.now, entry.registry_ref, entry.ranges, entry.completed_at
    )


def _entry(told: Entry) -> CancellationEntry:
    spans = [_range(*each) for each in told.spans]
    number = f"LEDGER-{told.number}"
    return CancellationEntry(number, told.key, told.account, told.lot, spans, told.done_at)


def _block(lot: Lot, account_ref: str) -> BlockReport:
    return BlockReport(
        block_ref=lot.lot,
        account_ref=account_ref,
        activity_ref=lot.activity,
        unit_type=UnitType.CER,
        party=lot.party,
        issued=_range(lot.party, lot.first, lot.last),
        held=lot.left,
        monitoring_start=lot.monitored_from,
        monitoring_end=lot.monitored_to,
        vintage=lot.monitored_from.year,
        commitment_period=2,
        obstacle=OBSTACLES.get(lot.hold, Obstacle.REFUSED),
    )


def _range(party: str, first: int, last: int) -> SerialRange:
    try:
        return SerialRange(party, first, last, f"{party}-{first}", f"{party}-{last}")
    except SerialError:
        raise OutcomeUnknownError("serial numbers that make no sense") from None
