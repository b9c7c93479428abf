"""A registry's books: blocks of numbered units, and what was cancelled of them."""

from __future__ import annotations

import re
import zlib
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from .faults import Faults
from .state import Document, State

Span = tuple[int, int]
"""First and last number, both included."""

UNIT_TYPES: Final[dict[str, tuple[str, ...]]] = {
    "cdm": ("cer", "tcer", "lcer"),
    "a64-interim": ("a64er_authorised", "a64er_contribution"),
    "a64-final": ("a64er_authorised", "a64er_contribution"),
}
PROCEEDS: Final = ("paid", "partly", "unpaid")
"""How much of the share of proceeds is paid for a block."""
ACCOUNT_KINDS: Final = ("pending", "permanent", "temporary", "annex_i")
_UNIT_CODE: Final = {"cer": 5, "tcer": 6, "lcer": 7}
DEFAULTS: Final[Document] = {
    "deduplicates": True,
    "closed": False,
    "page_size": 50,
    "processing_seconds": 1.0,
    "clock_offset_seconds": 0.0,
}
"""What ``POST /control/registries/<name>`` can set, beside the token.

``deduplicates``: a repeated key answers as before instead of cancelling again; the final
Article 6.4 registry starts without, so that both kinds are there.
``processing_seconds``: how long the registry that answers 202 works on a cancellation.
"""


LONG_AGO: Final = "2020-01-01T00:00:00+00:00"
"""When blocks changed last that were written down before that was kept."""


class RefusalError(Exception):
    """The registry says no; ``code`` is its word for why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Book:
    """The books of one registry."""

    def __init__(self, name: str, state: State, faults: Faults) -> None:
        self.name = name
        self.state = state
        self._faults = faults
        self._blocks = f"{name}/block"
        self._cancellations = f"{name}/cancellation"
        self._operations = f"{name}/operation"

    # Settings and clock

    def settings(self) -> Document:
        """Return the settings as they stand."""
        own: Document = {"token": f"sandbox-{self.name}"}
        if self.name == "a64-final":
            own["deduplicates"] = False
        return DEFAULTS | own | (self.state.get("registry", self.name) or {})

    def configure(self, values: Document) -> Document:
        """Change settings; an unknown one is a KeyError."""
        with self.state.transaction():
            settings = self.settings()
            for key, value in values.items():
                settings[key] = type(settings[key])(value)
            self.state.put("registry", self.name, settings)
        return settings

    def now(self) -> datetime:
        """Read the registry's own clock."""
        return datetime.now(UTC) + timedelta(seconds=self.settings()["clock_offset_seconds"])

    # Blocks

    def blocks(self, account: str | None = None) -> list[Document]:
        """List the blocks, of one account or of all."""
        return self.state.all(self._blocks, part=account)

    def knows_account(self, account: str) -> bool:
        """Whether units were ever issued to an account, even if nothing is left in it."""
        return self.state.get(f"{self.name}/account", account) is not None or bool(
            self.blocks(account)
        )

    def seed(self, wanted: list[Document]) -> list[Document]:
        """Issue blocks, as ``POST /control/registries/<name>/blocks`` is told.

        Keys: ``block_ref`` (made up if missing), ``account``, ``activity``, ``unit_type``,
        ``party``, ``first`` (the next free number of the series if missing),
        ``quantity``, ``monitoring_start``, ``monitoring_end``; optional ``vintage``,
        ``commitment_period``, ``share_of_proceeds`` (a key of ``PROCEEDS``; ``eligible``
        false is short for unpaid), ``account_kind`` (of ``ACCOUNT_KINDS``), ``expires_on``
        (the last day of units that do not last) and ``taken``: pairs of how many units to
        skip from the start and how many are gone from there.
        A block that is there already stays as it is, so seeding may be repeated.

        Raises:
            ValueError: a block that makes no sense, or overlaps another.

        """
        with self.state.transaction():
            known = self.blocks()
            return [self._issue(each, known) for each in wanted]

    def _issue(self, wanted: Document, blocks: list[Document]) -> Document:
        try:
            ref = wanted.get("block_ref") or f"B{self.state.number(self._blocks):06d}"
            known = self.state.get(self._blocks, ref)
            if known is not None:
                if known["account"] != wanted["account"]:
                    raise ValueError(f"block {ref} is in another account")
                return known
            start = date.fromisoformat(wanted["monitoring_start"])
            end = date.fromisoformat(wanted["monitoring_end"])
            party, activity = wanted["party"], str(wanted["activity"])
            series = party if self.name == "cdm" else f"{party}-{activity}"
            first = int(wanted.get("first") or _next_number(series, blocks))
            last = first + int(wanted["quantity"]) - 1
            block: Document = {
                "block_ref": ref,
                "account": str(wanted["account"]),
                "account_kind": account_kind(wanted),
                "activity": activity,
                "unit_type": wanted["unit_type"],
                "party": party,
                "series": series,
                "first": first,
                "last": last,
                "commitment_period": wanted.get("commitment_period")
                or ((1 if end.year <= 2012 else 2) if self.name == "cdm" else None),
                "monitoring_start": start.isoformat(),
                "monitoring_end": end.isoformat(),
                "vintage": int(wanted.get("vintage") or end.year),
                "share_of_proceeds": proceeds(wanted),
                "expires_on": _day(wanted.get("expires_on")),
                "taken": _merged(
                    [
                        (first + skip, first + skip + count - 1)
                        for skip, count in wanted.get("taken", ())
                    ]
                ),
            }
        except KeyError as error:
            raise ValueError(f"a block needs {error}") from None
        if not re.fullmatch("[A-Z]{2}", party) or last < first or end < start:
            raise ValueError(f"block {ref}: party, quantity or period")
        if block["unit_type"] not in UNIT_TYPES[self.name]:
            raise ValueError(f"block {ref}: {self.name} has no unit type {block['unit_type']}")
        if self.name == "cdm" and not re.fullmatch(r"[1-9]\d*", activity):
            raise ValueError(f"block {ref}: a CDM activity is a number")
        for other in blocks:
            if other["series"] == series and first <= other["last"] and other["first"] <= last:
                raise ValueError(f"block {ref} overlaps {other['block_ref']}")
        self.keep(block)
        self.state.put(f"{self.name}/account", block["account"], {})
        blocks.append(block)
        return block

    def change_block(self, ref: str, values: Document) -> Document:
        """Set ``share_of_proceeds`` (or ``eligible``, as in ``seed``), ``unit_type`` or
        ``expires_on``, let another channel ``take`` the next so many units (under a ``key`` of
        its own, if it has one), ``split`` the block after so many units, ``merge`` the block of that name into it,
        bring it into another ``account``, or let it ``vanish``.
        """
        with self.state.transaction():
            block = self.block(ref)
            if "eligible" in values or "share_of_proceeds" in values:
                block["share_of_proceeds"] = proceeds(values)
            if "expires_on" in values:
                block["expires_on"] = _day(values["expires_on"])
            if values.get("vanish"):
                self.remove(block)
                return block
            if "take" in values:
                spans = self._take(block, int(values["take"]))
                self.record(block, spans, str(values.get("key", "")))
            if "unit_type" in values:
                if values["unit_type"] not in UNIT_TYPES[self.name]:
                    raise ValueError(f"{self.name} has no unit type {values['unit_type']}")
                block["unit_type"] = values["unit_type"]
            self.keep(block)
            if "split" in values:
                self._split(block, int(values["split"]))
            if "merge" in values:
                self._merge(block, self.block(str(values["merge"])))
            if "account" in values:
                self.move(block, str(values["account"]))
        return block

    def _split(self, block: Document, units: int) -> None:
        if not 0 < units < block["last"] - block["first"] + 1:
            raise ValueError("split leaves both parts some units")
        middle = block["first"] + units
        rest = block | {
            "block_ref": f"{block['block_ref']}/{middle}",
            "first": middle,
            "taken": _within(block["taken"], middle, block["last"]),
        }
        block["taken"] = _within(block["taken"], block["first"], middle - 1)
        block["last"] = middle - 1
        self.keep(block)
        self.keep(rest)

    def _merge(self, block: Document, other: Document) -> None:
        if (block["series"], block["account"], block["last"] + 1) != (
            other["series"],
            other["account"],
            other["first"],
        ):
            raise ValueError("merge takes the block that follows in the same account")
        block["last"] = other["last"]
        block["taken"] = _merged([*map(tuple, block["taken"]), *map(tuple, other["taken"])])
        self.remove(other)
        self.keep(block)

    def empty(self, block: Document) -> None:
        """Let all units of a block pass into another registry's books."""
        block["taken"] = [(block["first"], block["last"])]
        self.keep(block)

    def say_origins(self, block: Document, account: str, origins: list[Document]) -> Document:
        """Keep where the units of a block came from, and from which account."""
        block |= {"former_account": account, "origins": origins}
        self.keep(block)
        self.state.put(f"{self.name}/former", account, {})
        return block

    def serial(self, block: Document, number: int) -> str:
        """Write a unit's serial number as this registry does.

        A CER's has seven parts (domain-facts.md 1.1). How A6.4ERs' look is not published
        (3.3), so theirs are invented, and one of the two counts in hexadecimal so that
        nobody is tempted to read them.
        """
        if self.name == "cdm":
            period, kind = block["commitment_period"], block["unit_type"]
            return (
                f"{block['party']}-{_UNIT_CODE[kind]}-{number}-{period}-{period}"
                f"-{int(kind != 'cer')}-{block['activity']}"
            )
        if self.name == "a64-interim":
            return f"MR.{block['party']}{block['vintage']}.{block['activity']}.{number:08X}"
        return f"{block['activity']}/{block['party']}/{block['vintage']}/{number:010d}"

    # Cancellations

    def cancel(self, request: Document) -> Document:
        """Cancel the next free units of a block and write it down; needs a transaction.

        ``request`` has ``key, account, block_ref, quantity, beneficiary, reason``.

        Raises:
            RefusalError: nothing was cancelled.

        """
        refused = self._faults.strikes(self.name, "refuse")
        fewer = self._faults.strikes(self.name, "fewer_serials")
        other = self._faults.strikes(self.name, "other_serials")
        overlapping = self._faults.strikes(self.name, "overlapping_serials")
        if refused:
            raise RefusalError("REFUSED", "The registry refuses, because a fault is on.")
        block = self._checked(request)
        quantity = request["quantity"] - (1 if fewer else 0)
        used = self._another(block, quantity) if other else block
        free_before = used["first"]
        spans = self._take(used, quantity)
        self.keep(used)
        if overlapping and spans:
            gone = spans[0][0] > free_before
            spans = [(free_before, free_before + quantity - 1)] if gone else spans * 2
        record = self.record(used, spans, request["key"], request)
        # What is reported may be counted twice, because a fault is on.
        record["cancelled"] = quantity
        self.state.put(self._cancellations, record["ref"], record, part=request["key"])
        return record

    def record(
        self, block: Document, spans: list[Span], key: str, request: Document | None = None
    ) -> Document:
        """Write a cancellation down; without a ``request`` another channel asked for it."""
        number = self.state.number(self._cancellations)
        record: Document = {
            "account": block["account"],
            "block_ref": block["block_ref"],
            "beneficiary": "",
            "reason": "",
            **(request or {}),
            "key": key,
            "ref": f"{self.name.upper()}-VC{number:07d}",
            "completed_at": self.now().isoformat(),
            "cancelled": sum(last - first + 1 for first, last in spans),
            "used_block": block["block_ref"],
            "ranges": [
                {
                    "series": block["series"],
                    "first": first,
                    "last": last,
                    "first_text": self.serial(block, first),
                    "last_text": self.serial(block, last),
                }
                for first, last in spans
            ],
        }
        self.state.put(self._cancellations, record["ref"], record, part=key)
        return record

    def page_cancellations(self, after: str, limit: int) -> tuple[list[Document], str, bool]:
        """List cancellations of all channels in the order of their completion.

        Returns them, the cursor that the next page begins with, and whether there is one now.

        Raises:
            ValueError: the cursor is not one of ours.

        """
        self.work()
        start = int(after or "0")
        rows = self.state.rows(self._cancellations, after=start, limit=limit + 1)
        page = rows[:limit]
        cursor = str(page[-1][0]) if page else after
        return [body for _, _, body in page], cursor, len(rows) > limit

    def cancellations(self, key: str | None = None) -> list[Document]:
        """List cancellations, of one key or all; a key has several if it was repeated."""
        return self.state.all(self._cancellations, part=key)

    def audit(self) -> dict[str, int]:
        """Count the units really cancelled for each key."""
        self.work()
        units: dict[str, int] = {}
        for each in filter(lambda each: each["key"], self.cancellations()):
            units[each["key"]] = units.get(each["key"], 0) + each["cancelled"]
        return units

    # Cancellations that take time

    def submit(self, request: Document) -> Document:
        """Accept a cancellation for later; ``work`` does it when its time has come."""
        with self.state.transaction():
            now = self.now()
            due = now + timedelta(seconds=self.settings()["processing_seconds"])
            number = self.state.number(self._operations)
            operation: Document = {
                "id": f"op-{number:07d}",
                "request": request,
                "state": "pending",
                "created_at": now.isoformat(),
                "due_at": due.isoformat(),
            }
            self._keep_operation(operation)
        return operation

    def operations(self, key: str) -> list[Document]:
        """List the operations of one key."""
        self.work()
        return self.state.all(self._operations, part=key)

    def operation(self, ref: str) -> Document | None:
        """Return one operation."""
        self.work()
        return self.state.get(self._operations, ref)

    def work(self) -> None:
        """Do the accepted cancellations whose time has come; called before every answer."""
        now = self.now()
        for pending in self.state.rows("pending", part=self.name):
            with self.state.transaction():
                operation = self.state.get(self._operations, pending[2]["id"])
                if (
                    operation is None
                    or operation["state"] != "pending"
                    or datetime.fromisoformat(operation["due_at"]) > now
                ):
                    continue
                try:
                    operation["result"] = self.cancel(operation["request"])
                    operation["state"] = "succeeded"
                except RefusalError as error:
                    operation["problem"] = {"code": error.code, "title": str(error)}
                    operation["state"] = "failed"
                self._keep_operation(operation)

    def _keep_operation(self, operation: Document) -> None:
        key, ref = operation["request"]["key"], operation["id"]
        self.state.put(self._operations, ref, operation, part=key)
        if operation["state"] == "pending":
            self.state.put("pending", f"{self.name}/{ref}", {"id": ref}, part=self.name)
        else:
            self.state.delete("pending", f"{self.name}/{ref}")

    # Arithmetic

    def _checked(self, request: Document) -> Document:
        if self.settings()["closed"]:
            raise RefusalError("REGISTRY_CLOSED", "The registry is closed.")
        block = self.block(request["block_ref"])
        if block["account"] != request["account"]:
            raise RefusalError("WRONG_ACCOUNT", "The block is not in that account.")
        if account_kind(block) == "annex_i":
            raise RefusalError(
                "ANNEX_I_ACCOUNT", "Units in an account of an Annex I Party cannot be cancelled."
            )
        if account_kind(block) == "temporary":
            raise RefusalError(
                "TEMPORARY_ACCOUNT", "Units in a temporary account cannot be cancelled."
            )
        if proceeds(block) == "unpaid":
            raise RefusalError(
                "SHARE_OF_PROCEEDS_UNPAID", "The share of proceeds has not been paid."
            )
        if proceeds(block) == "partly":
            raise RefusalError(
                "SHARE_OF_PROCEEDS_PARTLY_PAID", "The share of proceeds has been paid in part."
            )
        expires_on = block.get("expires_on")
        if expires_on and self.now().date() > date.fromisoformat(expires_on):
            raise RefusalError("EXPIRED", f"The units expired on {expires_on}.")
        if request["quantity"] < 1:
            raise RefusalError("INVALID_QUANTITY", "The quantity must be at least 1.")
        if request["quantity"] > held(block):
            raise RefusalError("INSUFFICIENT_UNITS", f"The block has {held(block)} units left.")
        return block

    def block(self, ref: str) -> Document:
        """Return a block by its name, or refuse."""
        block = self.state.get(self._blocks, ref)
        if block is None:
            raise RefusalError("UNKNOWN_BLOCK", "There is no such block.")
        return block

    def keep(self, block: Document) -> None:
        """Write a block down as it is now."""
        block["changed_at"] = self.now().isoformat()
        self.state.put(self._blocks, block["block_ref"], block, part=block["account"])

    def remove(self, block: Document) -> None:
        """Let a block leave its account."""
        self.state.delete(self._blocks, block["block_ref"])
        self._leave(block)

    def _leave(self, block: Document) -> None:
        account, ref = block["account"], block["block_ref"]
        left = {"block_ref": ref, "at": self.now().isoformat()}
        self.state.put(f"{self.name}/gone", f"{account}/{ref}", left, part=account)

    def move(self, block: Document, account: str) -> None:
        """Bring a block into another account."""
        self._leave(block)
        block["account"] = account
        self.state.put(f"{self.name}/account", account, {})
        self.keep(block)

    def changes(self, account: str, since: datetime) -> tuple[list[Document], list[str]]:
        """List the blocks of an account that changed at or after a moment, and those that left."""
        blocks = self.blocks(account)
        here = {each["block_ref"] for each in blocks}
        left = self.state.all(f"{self.name}/gone", part=account)
        return (
            [
                each
                for each in blocks
                if datetime.fromisoformat(each.get("changed_at", LONG_AGO)) >= since
            ],
            [
                each["block_ref"]
                for each in left
                if each["block_ref"] not in here and datetime.fromisoformat(each["at"]) >= since
            ],
        )

    def _another(self, block: Document, quantity: int) -> Document:
        for other in self.blocks():
            if other["block_ref"] != block["block_ref"] and held(other) >= quantity:
                return other
        raise RefusalError("NO_OTHER_BLOCK", "The fault other_serials needs a second block.")

    def _take(self, block: Document, quantity: int) -> list[Span]:
        spans: list[Span] = []
        for first, last in free_spans(block):
            if quantity == 0:
                break
            end = min(last, first + quantity - 1)
            spans.append((first, end))
            quantity -= end - first + 1
        if quantity:
            raise RefusalError("INSUFFICIENT_UNITS", "The block has not so many units left.")
        block["taken"] = _merged([*map(tuple, block["taken"]), *spans])
        return spans


def proceeds(values: Document) -> str:
    """Read how much of the share of proceeds is paid, of a block or of a wish about one."""
    said = values.get("share_of_proceeds") or ("paid" if values.get("eligible", True) else "unpaid")
    if said not in PROCEEDS:
        raise ValueError(f"share_of_proceeds is one of {', '.join(PROCEEDS)}")
    return str(said)


def _day(value: str | None) -> str | None:
    return date.fromisoformat(value).isoformat() if value else None


def account_kind(values: Document) -> str:
    """Read which kind of account a block lies in."""
    said = values.get("account_kind") or "permanent"
    if said not in ACCOUNT_KINDS:
        raise ValueError(f"account_kind is one of {', '.join(ACCOUNT_KINDS)}")
    return str(said)


def held(block: Document) -> int:
    """Count the units of a block that are still in the account."""
    return sum(last - first + 1 for first, last in free_spans(block))


def _next_number(series: str, blocks: list[Document]) -> int:
    ends = [each["last"] for each in blocks if each["series"] == series]
    return max(ends, default=zlib.crc32(series.encode()) % 90_000_000) + 1


def free_spans(block: Document) -> list[Span]:
    """List the numbers of a block that are still in the account."""
    spans: list[Span] = []
    start = block["first"]
    for first, last in block["taken"]:
        if start < first:
            spans.append((start, first - 1))
        start = last + 1
    if start <= block["last"]:
        spans.append((start, block["last"]))
    return spans


def _within(spans: list[Any], start: int, end: int) -> list[Span]:
    return [
        (max(first, start), min(last, end))
        for first, last in spans
        if first <= end and last >= start
    ]


def _merged(spans: list[Any]) -> list[Span]:
    merged: list[Span] = []
    for first, last in sorted(spans):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return merged
