"""A ledger in memory: its API, its books, and levers to make it misbehave."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Flask, jsonify, request
from registry_ledger import LedgerConnector, LedgerSettings

from cnn_offset.domain.units import Obstacle
from cnn_offset.testing.registries import Misdeed, RegistryWorld

API_KEY = "ledger-key-for-tests"
PATIENCE = 0.15
PAGE = 3
HOLDS = {None: "", Obstacle.PROCEEDS_UNPAID: "levy", Obstacle.ACCOUNT_KIND: "account"}


class Ledger:
    """A WSGI application."""

    def __init__(self) -> None:
        self.lots: dict[str, dict[str, Any]] = {}
        self.done: list[dict[str, Any]] = []
        self.misdeeds: list[Misdeed] = []
        self.later = self.wait = timedelta()
        self.closed = False
        self.lock = threading.Lock()
        self.api = Flask("ledger")
        self.api.add_url_rule("/accounts/<account>/lots", view_func=self.list_lots)
        self.api.add_url_rule("/cancellations/<path:key>", view_func=self.show)
        self.api.add_url_rule("/cancellations/<path:key>", view_func=self.cancel, methods=["PUT"])
        self.api.add_url_rule("/cancellations", view_func=self.list_cancellations)

    def __call__(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        if self.wait:
            wait, self.wait = str(self.wait.seconds), timedelta()
            start_response("429 Too Many Requests", [("Retry-After", wait)])
            return [b""]
        misdeed = self.misdeeds.pop() if self.misdeeds else None
        if misdeed is Misdeed.LATE:
            time.sleep(2 * PATIENCE)
        environ["ledger.fewer"] = int(misdeed is Misdeed.FEWER)
        if misdeed in (Misdeed.SILENT_AFTER, Misdeed.ERROR_AFTER):
            list(self.api(environ, lambda *_: None))
        elif misdeed not in (Misdeed.SILENT_BEFORE, Misdeed.ERROR_BEFORE, Misdeed.NONSENSE):
            return self.api(environ, start_response)
        if misdeed in (Misdeed.SILENT_BEFORE, Misdeed.SILENT_AFTER):
            time.sleep(4 * PATIENCE)
        status = "200 OK" if misdeed is Misdeed.NONSENSE else "500 Internal Server Error"
        start_response(status, [("Content-Type", "text/html")])
        return [b"<p>All is well.</p>"]

    def now(self) -> datetime:
        return datetime.now(UTC) + self.later

    def answer(self, **body: Any) -> Any:
        return jsonify(now=self.now().isoformat(), **body)

    def refuse(self, why: str, status: int = 422) -> Any:
        return self.answer(why=why), status

    def list_lots(self, account: str) -> Any:
        known = [each for each in self.lots.values() if each["account"] == account]
        left = [each for each in known if each["lot"] > request.args["after"]]
        if not known:
            return self.refuse("There is no such account.", 404)
        shown = [each | {"left": len(each["free"])} for each in left[:PAGE]]
        shown = [{k: v for k, v in each.items() if k != "free"} for each in shown]
        return self.answer(lots=shown, more=len(left) > PAGE)

    def show(self, key: str) -> Any:
        known = [each for each in self.done if each["key"] == key]
        return self.answer(cancellation=known[0]) if known else self.refuse("Not known.", 404)

    def list_cancellations(self) -> Any:
        left = self.done[int(request.args["after"]) :]
        return self.answer(cancellations=left[:PAGE], more=len(left) > PAGE)

    def cancel(self, key: str) -> Any:
        if request.headers.get("X-Api-Key") != API_KEY:
            return self.refuse("Who are you?", 401)
        wish = request.get_json()
        with self.lock:
            known = [each for each in self.done if each["key"] == key]
            if known:
                return self.answer(cancellation=known[0])
            lot = self.lots.get(wish["lot"])
            if self.closed or lot is None or lot["account"] != wish["account"] or lot["hold"]:
                return self.refuse("This lot cannot be cancelled.")
            if not 0 < wish["units"] <= len(lot["free"]):
                return self.refuse("The lot has too few units.")
            count = wish["units"] - request.environ["ledger.fewer"]
            return self.answer(cancellation=self.take(lot, count, {**wish, "key": key})), 201

    def take(self, lot: dict[str, Any], count: int, wish: dict[str, Any]) -> dict[str, Any]:
        """Cancel units of a lot, from its beginning."""
        numbers, lot["free"] = lot["free"][:count], lot["free"][count:]
        done = {
            **wish,
            "number": len(self.done) + 1,
            "spans": [(lot["party"], *each) for each in spans(numbers)],
            "done_at": self.now().isoformat(),
        }
        self.done.append(done)
        return done


def spans(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """Put consecutive numbers together."""
    found: list[tuple[int, int]] = []
    for each in numbers:
        if found and found[-1][1] + 1 == each:
            found[-1] = (found[-1][0], each)
        else:
            found.append((each, each))
    return found


class LedgerWorld(RegistryWorld):
    """The connector, and the levers of its contract."""

    patience, secret = PATIENCE, API_KEY
    account, other_account = "ACC-1", "ACC-2"
    obstacles = (Obstacle.PROCEEDS_UNPAID, Obstacle.ACCOUNT_KIND)

    def __init__(self, ledger: Ledger, url: str) -> None:
        self.ledger = ledger
        self.connector = self.made(url)

    def made(self, url: str) -> LedgerConnector:
        settings = {"base_url": url, "api_key": API_KEY, "timeout_seconds": PATIENCE}
        return LedgerConnector(LedgerSettings.model_validate(settings))

    def unreachable(self) -> LedgerConnector:
        return self.made("http://127.0.0.1:1")

    def seed(
        self,
        quantity: int,
        *,
        gone: Sequence[tuple[int, int]] = (),
        obstacle: Obstacle | None = None,
        account: str | None = None,
    ) -> str:
        first = 1 + 10_000 * len(self.ledger.lots)
        free = list(range(first, first + quantity))
        taken = {n for skip, count in gone for n in free[skip : skip + count]}
        ref = f"LOT-{len(self.ledger.lots):03d}"
        self.ledger.lots[ref] = {
            "lot": ref,
            "account": account or self.account,
            "activity": "7001",
            "party": "KE",
            "first": first,
            "last": first + quantity - 1,
            "free": [n for n in free if n not in taken],
            "monitored_from": "2019-01-01",
            "monitored_to": "2019-12-31",
            "hold": HOLDS[obstacle],
        }
        return ref

    def prepare(self, misdeed: Misdeed) -> None:
        self.ledger.misdeeds.append(misdeed)

    def cancel_elsewhere(self, block_ref: str, units: int) -> bool:
        lot = self.ledger.lots[block_ref]
        self.ledger.take(lot, units, {"key": "", "account": lot["account"], "lot": block_ref})
        return True

    def slow_down(self, wait: timedelta) -> bool:
        self.ledger.wait = wait
        return True

    def audit(self) -> Mapping[str, int]:
        return {
            each["key"]: sum(last - first + 1 for _, first, last in each["spans"])
            for each in self.ledger.done
            if each["key"]
        }

    def recorded(self, key: str) -> tuple[str, str]:
        found = next(each for each in self.ledger.done if each["key"] == key)
        return found["for"], found["because"]

    def close_registry(self) -> None:
        self.ledger.closed = True

    def advance(self, by: timedelta) -> None:
        self.ledger.later += by
