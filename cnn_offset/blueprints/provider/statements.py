"""Bank statements: uploaded, their columns named if they are tables, and what came of them."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_security import current_user
from pydantic import ValidationError

from cnn_offset import jobs
from cnn_offset.blueprints.provider.workspace import bp
from cnn_offset.domain.staff import Duty
from cnn_offset.domain.statement import (
    Statement,
    StatementFormat,
    UnreadableStatementError,
)
from cnn_offset.domain.status import BankEntryStatus
from cnn_offset.domain.text import N_, UnreadableTextError, clean_line
from cnn_offset.extensions import db, platform, unit_of_work
from cnn_offset.guards import staff_may
from cnn_offset.models import PayoutMethod
from cnn_offset.plugins.payments.base import StatementPlugin
from cnn_offset.plugins.payments.statements import format_of, table
from cnn_offset.plugins.payments.statements.table import TableMapping
from cnn_offset.services import NotFoundError, ServiceError
from cnn_offset.services import statements as taking
from cnn_offset.web import last_shown, row_id, takes_upload

PAGE = 50
ROUNDS: Final = 5
"""Batches of exact entries recorded before the page is shown; a worker goes on with more."""
KEPT: Final = timedelta(days=1)
"""How long an uploaded table waits for its columns to be named."""
_TOKEN = re.compile(r"[0-9a-f]{48}")
_COLUMNS: Final = (
    "date_column", "amount_column", "credit_column", "debit_column", "currency_column",
    "text_column", "payer_column", "ref_column", "balance_column",
)  # fmt: skip


def _payout() -> PayoutMethod:
    return taking.bank_account(db.session(), current_user.provider_id, platform().bank_methods)


def _plugin(payout: PayoutMethod) -> StatementPlugin:
    plugin = platform().payments.get(payout.method_id)
    if not isinstance(plugin, StatementPlugin):
        raise NotFoundError(payout.method_id)
    return plugin


@bp.get("/provider/statements")
def statements() -> ResponseReturnValue:
    """List the statements that were read, and offer to upload another."""
    return _page()


def _page(errors: dict[str, str] | None = None) -> ResponseReturnValue:
    found = taking.statements_of(
        db.session(),
        current_user.provider_id,
        before=request.args.get("before", type=row_id),
        limit=PAGE + 1,
    )
    try:
        payout = _payout()
    except NotFoundError:
        payout = None
    page = render_template(
        "provider/statements.html",
        statements=found[:PAGE],
        older=last_shown(found, PAGE),
        payout=payout,
        errors=errors or {},
    )
    return (page, 422) if errors else page


@bp.post("/provider/statements")
@takes_upload(11)
@staff_may(Duty.MONEY)
def upload_statement() -> ResponseReturnValue:
    """Read an uploaded file; of a table the columns are asked first."""
    payout = _payout()
    file = request.files.get("file")
    if file is None or not file.filename:
        return _page({"file": gettext("Please choose the file that your bank gave you.")})
    data, name = file.read(), _name(file.filename)
    try:
        if format_of(data) is StatementFormat.CSV:
            return redirect(url_for("provider.statement_columns", token=_keep(data), name=name))
        return _take(payout, data, name, None)
    except (UnreadableStatementError, ServiceError) as error:
        return _page({"file": gettext(error.message, **error.values)})


def _name(filename: str) -> str:
    try:
        return clean_line(filename.replace("\\", "/").rpartition("/")[2])[:200] or "statement"
    except UnreadableTextError:
        return "statement"


def _take(
    payout: PayoutMethod, data: bytes, name: str, mapping: Mapping[str, Any] | None
) -> ResponseReturnValue:
    plugin = _plugin(payout)
    read = plugin.read_statement(data, mapping)
    taking.check_account(db.session(), payout, plugin, read)
    payout_id = payout.id
    try:
        with unit_of_work() as session:
            payout = session.get_one(PayoutMethod, payout_id)
            statement = taking.import_statement(
                session,
                payout,
                read,
                sha256=taking.file_hash(data, mapping),
                filename=name,
                actor=current_user.email,
                now=platform().clock(),
            )
            if mapping is not None:
                payout.statement_mapping = dict(mapping)
            statement_id = statement.id
    except taking.KnownStatementError as error:
        flash(gettext(error.message), "warning")
        return redirect(url_for("provider.statement", statement_id=error.statement_id))
    for _ in range(ROUNDS):
        if not jobs.do("bank_statement", statement_id, due_only=True):
            break
    return redirect(url_for("provider.statement", statement_id=statement_id))


@bp.get(f"/provider/statements/<int(max={2**63 - 1}):statement_id>")
def statement(statement_id: int) -> ResponseReturnValue:
    """Show what came of a statement."""
    found = taking.find_statement(db.session(), current_user.provider_id, statement_id)
    counts = taking.counts(db.session(), found)
    by_status = dict.fromkeys(BankEntryStatus, 0)
    for (status, _), n in counts.items():
        by_status[status] += n
    return render_template(
        "provider/statement.html",
        statement=found,
        by_status=by_status,
        waiting={
            finding: n
            for (status, finding), n in counts.items()
            if status is BankEntryStatus.WAITING
        },
        entries=taking.entries_of(db.session(), found, limit=PAGE),
    )


def _folder() -> str:
    return f"statements/{current_user.provider_id}"


def _keep(data: bytes) -> str:
    """Put an uploaded table aside under a name that nobody can guess; tidy old ones away."""
    files, folder = platform().files, _folder()
    files.makedirs(folder, exist_ok=True)
    oldest = platform().clock() - KEPT
    for each in files.ls(folder, detail=True):
        made = re.match(r"(\d{10,})-", str(each["name"]).rpartition("/")[2])
        if made and int(made[1]) < oldest.timestamp():
            files.rm_file(each["name"])
    token = secrets.token_hex(24)
    files.pipe_file(f"{folder}/{_stamp()}-{token}", data)
    return token


def _stamp() -> str:
    return f"{int(platform().clock().timestamp()):012d}"


def _kept(token: str) -> tuple[str, bytes]:
    """Return path and content of a table put aside for this provider."""
    files, folder = platform().files, _folder()
    if _TOKEN.fullmatch(token) and files.exists(folder):
        for each in files.ls(folder, detail=False):
            if str(each).endswith(f"-{token}"):
                content: bytes = files.cat_file(each)
                return str(each), content
    raise NotFoundError("no such upload")


@bp.get("/provider/statements/columns/<token>")
@staff_may(Duty.MONEY)
def statement_columns(token: str) -> ResponseReturnValue:
    """Ask what the columns of an uploaded table are, as last time or as they look."""
    _, data = _kept(token)
    saved = _payout().statement_mapping
    mapping = table.guess(data)
    if saved:
        try:
            mapping = TableMapping.model_validate(saved)
        except ValidationError:
            saved = None
    return _columns_page(token, data, mapping.model_dump(), saved=bool(saved))


@bp.post("/provider/statements/columns/<token>")
@staff_may(Duty.MONEY)
def read_columns(token: str) -> ResponseReturnValue:
    """Read the table as its columns were named: first shown back, then taken."""
    path, data = _kept(token)
    payout = _payout()
    values = _chosen()
    try:
        mapping = TableMapping.model_validate(values)
    except ValidationError as error:
        field = str(error.errors()[0]["loc"][0])
        return _columns_page(token, data, values, errors={field: gettext(CHOOSE)})
    kept = mapping.model_dump()
    try:
        read = _plugin(payout).read_statement(data, kept)
        if request.form.get("seen") != taking.file_hash(data, kept):
            return _columns_page(token, data, kept, read=read, seen=taking.file_hash(data, kept))
        answer = _take(payout, data, _name(request.values.get("name", "")), kept)
    except (UnreadableStatementError, ServiceError) as error:
        return _columns_page(token, data, kept, errors={"": gettext(error.message, **error.values)})
    platform().files.rm_file(path)
    return answer


CHOOSE = N_("Please choose one of those offered.")


def _chosen() -> dict[str, Any]:
    """Return the mapping that a form describes, not yet checked."""
    form = request.form
    values: dict[str, Any] = {
        name: form.get(name, "") for name in ("encoding", "date_order", "decimal")
    }
    values["delimiter"] = {"tab": "\t"}.get(form.get("delimiter", ""), form.get("delimiter", ""))
    values["currency"] = form.get("currency", "").strip().upper()
    for name in ("header_rows", "footer_rows"):
        values[name] = form.get(name, "").strip() or 0
    for name in _COLUMNS:
        text = form.get(name, "").strip()
        values[name] = text or None
    return values


def _columns_page(
    token: str,
    data: bytes,
    values: Mapping[str, Any],
    *,
    errors: dict[str, str] | None = None,
    read: Sequence[Statement] = (),
    seen: str = "",
    saved: bool = False,
) -> ResponseReturnValue:
    guessed = table.guess(data)
    try:
        how = guessed.model_copy(
            update={
                name: values[name]
                for name in ("encoding", "delimiter")
                if values[name] in (*table.ENCODINGS, *table.DELIMITERS)
            }
        )
        rows = table.preview(data, how)
    except UnreadableStatementError:
        rows = table.preview(data, guessed)
    lines = [line for each in read for line in each.lines]
    page = render_template(
        "provider/statement_columns.html",
        token=token,
        name=_name(request.values.get("name", "")),
        values=values,
        rows=rows,
        width=max((len(row) for row in rows), default=1),
        lines=lines[:5],
        count=len(lines),
        sums=_sums(lines),
        proven=all(each.is_proven for each in read),
        seen=seen,
        saved=saved,
        errors=errors or {},
    )
    return (page, 422) if errors else page


def _sums(lines: Sequence[Any]) -> list[tuple[Any, Any]]:
    """Add up by currency what came and what went."""
    sums: dict[str, list[Any]] = {}
    for line in lines:
        came, went = sums.setdefault(line.amount.currency, [line.amount * 0, line.amount * 0])
        if line.amount.minor > 0:
            sums[line.amount.currency][0] = came + line.amount
        else:
            sums[line.amount.currency][1] = went + line.amount
    return [(came, went) for came, went in sums.values()]
