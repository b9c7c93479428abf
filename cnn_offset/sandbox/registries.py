"""The registries' controls, their public books and audits."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from flask import Blueprint, Response, abort, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from . import registries_async, registries_succession, registries_sync
from .faults import REGISTRIES, current_faults
from .registries_books import (
    ACCOUNT_KINDS,
    PROCEEDS,
    UNIT_TYPES,
    Book,
    RefusalError,
    account_kind,
    held,
    proceeds,
)
from .state import current_state

bp = Blueprint("registries", __name__)
bp.register_blueprint(registries_sync.bp)
bp.register_blueprint(registries_async.bp)
bp.register_blueprint(registries_succession.bp)
SHOWN = 200
"""How many of the newest cancellations a book's page shows."""


def book_of(name: str) -> Book:
    """Return the books of a registry by name, or answer 404."""
    if name not in REGISTRIES:
        abort(404)
    return Book(name, current_state(), current_faults())


@bp.get("/registries/<name>/")
def show_book(name: str) -> str:
    """Show blocks and cancellations to anybody, and let them play the registry."""
    return _page(book_of(name))


def _page(book: Book, error: str = "") -> str:
    name = book.name
    book.work()
    cancellations = book.cancellations()
    return render_template(
        "sandbox/book.html",
        name=name,
        settings=book.settings(),
        now=book.now(),
        blocks=[
            each
            | {
                "held": held(each),
                "proceeds": proceeds(each),
                "account_kind": account_kind(each),
                "first_text": book.serial(each, each["first"]),
                "last_text": book.serial(each, each["last"]),
            }
            for each in book.blocks()
        ],
        cancellations=cancellations[: -SHOWN - 1 : -1],
        total=len(cancellations),
        unit_types=UNIT_TYPES[name],
        account_kinds=ACCOUNT_KINDS,
        shares=PROCEEDS,
        error=error,
        typed=request.form,
    )


@bp.post("/registries/<name>/issue")
def issue(name: str) -> ResponseReturnValue:
    """Issue a block, as the form on the book's page says."""
    book, wanted = book_of(name), request.form.to_dict()
    try:
        book.seed([{key: value.strip() for key, value in wanted.items() if value.strip()}])
    except ValueError as error:
        return _page(book, str(error)), 422
    return redirect(url_for(".show_book", name=name), 303)


@bp.post("/registries/<name>/blocks/<path:ref>")
def handle_block(name: str, ref: str) -> ResponseReturnValue:
    """Do to a block what the form beside it says, as if by another channel."""
    book = book_of(name)
    values = {key: value for key, value in request.form.items() if value.strip()}
    try:
        book.change_block(ref, values)
    except (RefusalError, ValueError) as error:
        return _page(book, str(error)), 422
    return redirect(url_for(".show_book", name=name), 303)


@bp.get("/registries/a64-final/openapi.yaml")
def show_wire() -> ResponseReturnValue:
    """Show the document that the final registry's API keeps to, as a registry might adopt it."""
    document = files("cnn_offset") / "plugins" / "registries" / "wire.yaml"
    return Response(document.read_text(encoding="utf-8"), mimetype="application/yaml")


@bp.get("/registries/<name>/audit")
def audit(name: str) -> ResponseReturnValue:
    """Tell what was really cancelled: units for each key, and every record."""
    book = book_of(name)
    return jsonify(units=book.audit(), cancellations=book.cancellations())


@bp.get("/control/registries/<name>")
def show_settings(name: str) -> ResponseReturnValue:
    """Show a registry's settings, its token among them."""
    return jsonify(book_of(name).settings())


@bp.post("/control/registries/<name>")
def configure(name: str) -> ResponseReturnValue:
    """Change a registry's settings."""
    try:
        return jsonify(book_of(name).configure(_body(dict)))
    except (KeyError, TypeError, ValueError) as error:
        return jsonify(error=str(error)), 400


@bp.post("/control/registries/<name>/blocks")
def seed(name: str) -> ResponseReturnValue:
    """Issue a list of blocks; safe to repeat."""
    try:
        return jsonify(blocks=book_of(name).seed(_body(list)))
    except (AttributeError, TypeError, ValueError) as error:
        return jsonify(error=str(error)), 400


@bp.post("/control/registries/<name>/blocks/<path:ref>")
def change_block(name: str, ref: str) -> ResponseReturnValue:
    """Set a block ``eligible`` or not, or ``take`` units of it by another channel."""
    try:
        return jsonify(book_of(name).change_block(ref, _body(dict)))
    except (RefusalError, TypeError, ValueError) as error:
        return jsonify(error=str(error)), 400


def _body(kind: type) -> Any:
    body = request.get_json()
    if not isinstance(body, kind):
        raise TypeError(f"the body must be a {kind.__name__}")
    return body
