"""The API of the CDM registry and the interim one: numbered pages, answers at once."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask import Blueprint, Response, jsonify, request
from flask.typing import ResponseReturnValue

from .faults import current_faults
from .registries_books import Book, RefusalError, account_kind, held, proceeds
from .state import Document, current_state

bp = Blueprint("registries_sync", __name__)
PREFIX = "/registries/<any('cdm', 'a64-interim'):name>/api/v1"
_UNIT_TYPES = {
    "cer": "CER",
    "tcer": "tCER",
    "lcer": "lCER",
    "a64er_authorised": "A6.4ER-A",
    "a64er_contribution": "A6.4ER-MC",
}
_ACCOUNT_TYPES = {
    "pending": "PENDING",
    "permanent": "HOLDING",
    "temporary": "TEMPORARY_HOLDING",
    "annex_i": "ANNEX_I",
}
_PROCEEDS = {"paid": "PAID", "partly": "PARTLY_PAID", "unpaid": "UNPAID"}
_STATUS = {"UNKNOWN_BLOCK": 404, "UNKNOWN_ACCOUNT": 404, "INVALID_REQUEST": 400}


def _book(name: str) -> Book:
    return Book(name, current_state(), current_faults())


@bp.before_request
def check_token() -> ResponseReturnValue | None:
    """Let in only who knows the registry's token."""
    book = _book((request.view_args or {})["name"])
    if request.headers.get("Authorization") != f"Bearer {book.settings()['token']}":
        return _refusal(book, RefusalError("UNAUTHORISED", "The token is missing or wrong."), 401)
    return None


@bp.get(f"{PREFIX}/accounts/<account>/blocks")
def list_blocks(name: str, account: str) -> ResponseReturnValue:
    """List the blocks of an account, one page of them."""
    book = _book(name)
    removed = None
    if since := request.args.get("changedSince"):
        try:
            blocks, removed = book.changes(account, datetime.fromisoformat(since))
        except (TypeError, ValueError):
            return _refusal(book, RefusalError("INVALID_REQUEST", "changedSince is a time."))
    else:
        blocks = book.blocks(account)
    if not book.knows_account(account):
        return _refusal(book, RefusalError("UNKNOWN_ACCOUNT", "There is no such account."))
    size, page = book.settings()["page_size"], request.args.get("page", 1, int)
    return _answer(
        book,
        page=page,
        pages=max(-(-len(blocks) // size), 1),
        blocks=[_block(book, each) for each in blocks[(page - 1) * size : page * size]],
        **({} if removed is None else {"removed": removed}),
    )


@bp.post(f"{PREFIX}/cancellations")
def cancel(name: str) -> ResponseReturnValue:
    """Cancel units; the answer has their serial numbers."""
    book = _book(name)
    # One transaction, and refusals are answered inside it: two equal keys at the same
    # moment must not both find nothing, and a fault that refused must stay used up.
    with current_state().transaction():
        try:
            wanted = _request(request.get_json(silent=True))
            known = book.cancellations(wanted["key"])
            if not known or not book.settings()["deduplicates"]:
                return _answer(book, cancellation=_cancellation(book.cancel(wanted))), 201
        except RefusalError as error:
            return _refusal(book, error)
    if any(known[0][field] != wanted[field] for field in wanted):
        reused = RefusalError("REFERENCE_REUSED", "Another request had that key.")
        return _refusal(book, reused, 409)
    return _answer(book, cancellation=_cancellation(known[0]))


@bp.get(f"{PREFIX}/cancellations")
def find_cancellations(name: str) -> ResponseReturnValue:
    """List the cancellations of one client reference, or all channels' from a cursor on."""
    book, key = _book(name), request.args.get("clientReference")
    if key is None:
        return _page_cancellations(book)
    return _answer(
        book,
        clientReference=key,
        cancellations=[_cancellation(each) for each in book.cancellations(key)],
    )


def _page_cancellations(book: Book) -> ResponseReturnValue:
    size = book.settings()["page_size"]
    try:
        found, cursor, more = book.page_cancellations(
            request.args.get("after", ""), min(request.args.get("limit", size, int), size)
        )
    except ValueError:
        return _refusal(book, RefusalError("UNKNOWN_CURSOR", "The cursor is not one of ours."))
    listed = [_cancellation(each) for each in found]
    return _answer(book, cancellations=listed, next=cursor, more=more)


def _request(body: Any) -> Document:
    names = {
        "clientReference": "key",
        "accountId": "account",
        "blockId": "block_ref",
        "quantity": "quantity",
        "beneficiary": "beneficiary",
        "purpose": "reason",
    }
    if not isinstance(body, dict) or body.keys() != names.keys():
        raise RefusalError("INVALID_REQUEST", f"The fields are {', '.join(names)}.")
    for name, value in body.items():
        if type(value) is not (int if name == "quantity" else str):
            raise RefusalError("INVALID_REQUEST", f"The type of {name} is wrong.")
    if not 0 < len(body["clientReference"]) <= 40:
        raise RefusalError("INVALID_REQUEST", "A clientReference has 1 to 40 characters.")
    return {names[name]: value for name, value in body.items()}


def _block(book: Book, block: Document) -> Document:
    return {
        "blockId": block["block_ref"],
        "accountId": block["account"],
        "activityRef": block["activity"],
        "unitType": _UNIT_TYPES[block["unit_type"]],
        "party": block["party"],
        "commitmentPeriod": block["commitment_period"],
        "units": {
            "series": block["series"],
            "start": block["first"],
            "end": block["last"],
            "startSerial": book.serial(block, block["first"]),
            "endSerial": book.serial(block, block["last"]),
        },
        "held": held(block),
        "monitoringStart": block["monitoring_start"],
        "monitoringEnd": block["monitoring_end"],
        "vintage": block["vintage"],
        "accountType": _ACCOUNT_TYPES[account_kind(block)],
        "shareOfProceeds": _PROCEEDS[proceeds(block)],
        "expiresOn": block.get("expires_on"),
    }


def _cancellation(record: Document) -> Document:
    return {
        "transactionId": record["ref"],
        "status": "Completed",
        "clientReference": record["key"] or None,
        "accountId": record["account"],
        "blockId": record["block_ref"],
        "quantity": record["cancelled"],
        "beneficiary": record["beneficiary"],
        "purpose": record["reason"],
        "completedAt": record["completed_at"],
        "segments": [
            {
                "series": each["series"],
                "start": each["first"],
                "end": each["last"],
                "startSerial": each["first_text"],
                "endSerial": each["last_text"],
            }
            for each in record["ranges"]
        ],
    }


def _answer(book: Book, **body: Any) -> Response:
    return jsonify(serverTime=book.now().isoformat(), **body)


def _refusal(book: Book, error: RefusalError, status: int | None = None) -> ResponseReturnValue:
    body = _answer(book, error={"code": error.code, "message": str(error)})
    return body, status or _STATUS.get(error.code, 422)
