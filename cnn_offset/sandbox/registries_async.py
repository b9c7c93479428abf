"""The API of the final Article 6.4 registry: cursors, and operations that take time."""

from __future__ import annotations

import base64
from datetime import datetime
from typing import Any

from flask import Blueprint, Response, jsonify, request, url_for
from flask.typing import ResponseReturnValue

from .faults import current_faults
from .registries_books import Book, account_kind, held, proceeds
from .state import Document, current_state

bp = Blueprint("registries_async", __name__, url_prefix="/registries/a64-final/api")
_UNITS = {"a64er_authorised": "AER", "a64er_contribution": "MCU"}


def _book() -> Book:
    return Book("a64-final", current_state(), current_faults())


@bp.before_request
def check_token() -> ResponseReturnValue | None:
    """Let in only who knows the registry's token."""
    if request.headers.get("Authorization") != f"Bearer {_book().settings()['token']}":
        return _problem(401, "unauthenticated", "The token is missing or wrong.")
    return None


@bp.get("/holdings")
def list_holdings() -> ResponseReturnValue:
    """List the holdings of an account from a cursor on."""
    book = _book()
    account, cursor = request.args.get("account", ""), request.args.get("cursor")
    since = request.args.get("changed_since")
    book.work()
    try:
        after = int(base64.urlsafe_b64decode(cursor)) if cursor else 0
        moment = datetime.fromisoformat(since) if since else None
        changed = book.changes(account, moment) if moment else None
    except (TypeError, ValueError):
        return _problem(400, "bad-cursor", "The cursor or the time is not one.")
    size = book.settings()["page_size"]
    if "former_account" in request.args:
        return _list_successors(book, request.args["former_account"], after, size)
    if not book.knows_account(account):
        return _problem(404, "unknown-account", "There is no such account.")
    if changed is not None:
        # The cursor counts on in what has changed.
        blocks, gone = changed
        more = len(blocks) > after + size
        return _answer(
            items=[_holding(book, body) for body in blocks[after : after + size]],
            next=_cursor(after + size) if more else None,
            gone=gone,
        )
    rows = book.state.rows("a64-final/block", part=account, after=after, limit=size + 1)
    page, more = rows[:size], len(rows) > size
    return _answer(
        items=[_holding(book, body) for _, _, body in page],
        next=_cursor(page[-1][0]) if more else None,
    )


def _list_successors(book: Book, account: str, after: int, size: int) -> ResponseReturnValue:
    """List the holdings that came from an account of the interim registry, with origins."""
    if book.state.get("a64-final/former", account) is None:
        return _problem(404, "unknown-account", "Nothing has come from such an account.")
    rows = [
        row
        for row in book.state.rows("a64-final/block", after=after)
        if row[2].get("former_account") == account
    ]
    page, more = rows[:size], len(rows) > size
    return _answer(
        items=[_holding(book, body) | {"origins": body["origins"]} for _, _, body in page],
        next=_cursor(page[-1][0]) if more else None,
    )


def _cursor(number: int) -> str:
    return base64.urlsafe_b64encode(str(number).encode()).decode()


@bp.get("/cancellations")
def list_cancellations() -> ResponseReturnValue:
    """List the cancellations of all channels from a cursor on."""
    book = _book()
    size, after = book.settings()["page_size"], request.args.get("after", "")
    try:
        known = base64.urlsafe_b64decode(after).decode()
        limit = min(request.args.get("limit", size, int), size)
        found, cursor, more = book.page_cancellations(known, limit)
    except ValueError:
        return _problem(400, "bad-cursor", "The cursor is not one of ours.")
    return _answer(
        items=[_listed(each) for each in found],
        cursor=_cursor(int(cursor)) if cursor else "",
        more=more,
    )


def _listed(record: Document) -> Document:
    return {
        "transaction": record["ref"],
        "key": record["key"] or None,
        "account": record["account"],
        "holding": record["block_ref"],
        "executed_at": record["completed_at"],
        "ranges": [_range(each) for each in record["ranges"]],
    }


def _range(each: Document) -> Document:
    return {
        "series": each["series"],
        "from": each["first"],
        "to": each["last"],
        "from_id": each["first_text"],
        "to_id": each["last_text"],
    }


@bp.post("/cancellation-requests")
def request_cancellation() -> ResponseReturnValue:
    """Accept a cancellation; what becomes of it is told by its operation."""
    book, body = _book(), request.get_json(silent=True)
    key = request.headers.get("Idempotency-Key", "")
    types = {"holding": str, "account": str, "amount": int, "on_behalf_of": str, "purpose": str}
    if (
        not isinstance(body, dict)
        or {name: type(value) for name, value in body.items()} != types
        or not 0 < len(key) <= 40
    ):
        return _problem(400, "bad-request", f"Idempotency-Key and {', '.join(types)}")
    wanted = {
        "key": key,
        "account": body["account"],
        "block_ref": body["holding"],
        "quantity": body["amount"],
        "beneficiary": body["on_behalf_of"],
        "reason": body["purpose"],
    }
    with current_state().transaction():
        known = book.operations(key)
        if known and book.settings()["deduplicates"]:
            if known[0]["request"] != wanted:
                return _problem(409, "key-reused", "Another request had that key.")
            operation = known[0]
        elif body["amount"] < 1:
            return _problem(422, "bad-amount", "The amount must be at least 1.")
        else:
            operation = book.submit(wanted)
    where = url_for(".show_operation", ref=operation["id"])
    return _answer(operation=_operation(operation)), 202, {"Location": where}


@bp.get("/operations")
def list_operations() -> ResponseReturnValue:
    """List the operations of one key."""
    key = request.args.get("key", "")
    return _answer(key=key, items=[_operation(each) for each in _book().operations(key)])


@bp.get("/operations/<ref>")
def show_operation(ref: str) -> ResponseReturnValue:
    """Show one operation."""
    operation = _book().operation(ref)
    if operation is None:
        return _problem(404, "unknown-operation", "There is no such operation.")
    return _answer(operation=_operation(operation))


def _holding(book: Book, block: Document) -> Document:
    return {
        "id": block["block_ref"],
        "account": block["account"],
        "activity": {"reference": block["activity"], "host_party": block["party"]},
        "unit": _UNITS[block["unit_type"]],
        "issued": {
            "series": block["series"],
            "from": block["first"],
            "to": block["last"],
            "from_id": book.serial(block, block["first"]),
            "to_id": book.serial(block, block["last"]),
        },
        "balance": held(block),
        "monitoring": {"from": block["monitoring_start"], "to": block["monitoring_end"]},
        "vintage": block["vintage"],
        "cancellable": not _blocked_by(block),
        "blocked_by": _blocked_by(block),
    }


def _blocked_by(block: Document) -> str | None:
    if account_kind(block) in ("temporary", "annex_i"):
        return "account-type"
    return {"paid": None, "partly": "sop-partly-paid", "unpaid": "sop-unpaid"}[proceeds(block)]


def _operation(operation: Document) -> Document:
    shown: Document = {
        "id": operation["id"],
        "key": operation["request"]["key"],
        "state": operation["state"],
    }
    if operation["state"] == "succeeded":
        record = operation["result"]
        shown["result"] = {
            "transaction": record["ref"],
            "executed_at": record["completed_at"],
            "ranges": [_range(each) for each in record["ranges"]],
        }
    if operation["state"] == "failed":
        shown["problem"] = operation["problem"]
    return shown


def _answer(**body: Any) -> Response:
    return jsonify(meta={"clock": _book().now().isoformat()}, **body)


def _problem(status: int, code: str, title: str) -> ResponseReturnValue:
    body = _answer(code=code, title=title, status=status)
    body.content_type = "application/problem+json"
    return body, status
