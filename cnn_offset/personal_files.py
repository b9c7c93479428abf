"""What is kept about a person as one file: a ZIP of JSON, with the attestations."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from tempfile import TemporaryFile
from typing import IO, Any, Final
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

from flask import Response, send_file
from sqlalchemy import select
from sqlalchemy.orm import Session

from cnn_offset.extensions import db, platform
from cnn_offset.models import Order, User
from cnn_offset.services import exporting, personal

PART: Final = 100
"""Orders read at once."""
MOST_ORDERS: Final = 10_000


def download(email: str, user_id: int | None, *, guests: bool, now: datetime) -> Response:
    """Answer with the file.

    Args:
        email: the address.
        user_id: its account, if there is one.
        guests: whether orders that were placed without logging in belong to it; their
            address was never confirmed, so only operators say so.
        now: the moment.

    """
    response = send_file(
        _archive(email, user_id, guests=guests, now=now),
        mimetype="application/zip",
        as_attachment=True,
        download_name=f"personal-data-{now:%Y-%m-%d}.zip",
    )
    # Flask would let caches keep it.
    response.headers["Cache-Control"] = "no-store"
    return response


def _archive(email: str, user_id: int | None, *, guests: bool, now: datetime) -> IO[bytes]:
    """Write the file to the disk, part by part, each read in a short session of its own."""
    file = TemporaryFile()  # noqa: SIM115 - whoever is handed it closes it
    with ZipFile(file, "w", ZIP_DEFLATED) as archive:
        with Session(db.engine) as session:
            ids = (
                personal.order_ids(session, email, limit=MOST_ORDERS)
                if guests
                else _own_orders(session, user_id)
            )
            user = session.get(User, user_id) if user_id else None
            _add(archive, "about.json", {"address": email, "written_at": now.isoformat()})
            if user is not None:
                _add(archive, "account.json", exporting.account(session, user))
            _add(archive, "correspondence.json", exporting.correspondence(session, email))
        with archive.open("orders.json", "w", force_zip64=True) as out:
            out.write(b"[")
            for at, order in enumerate(_orders(ids)):
                out.write((b",\n" if at else b"\n") + _json(order))
            out.write(b"\n]\n")
        for name, path in _files(ids):
            archive.writestr(
                f"attestations/{name}", platform().files.cat_file(path), compress_type=ZIP_STORED
            )
    file.seek(0)
    return file


def _own_orders(session: Session, user_id: int | None) -> list[int]:
    wanted = select(Order.id).where(Order.user_id == user_id).order_by(Order.id.desc())
    return list(session.scalars(wanted.limit(MOST_ORDERS)))


def _orders(ids: list[int]) -> Iterator[exporting.Table]:
    for at in range(0, len(ids), PART):
        with Session(db.engine) as session:
            yield from exporting.orders(session, ids[at : at + PART])


def _files(ids: list[int]) -> Iterator[tuple[str, str]]:
    for at in range(0, len(ids), PART):
        with Session(db.engine) as session:
            yield from exporting.attestation_files(session, ids[at : at + PART])


def _add(archive: ZipFile, name: str, value: Any) -> None:
    archive.writestr(name, _json(value))


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=1).encode()
