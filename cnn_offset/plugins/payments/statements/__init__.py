"""Readers of what banks write: files in, :class:`~cnn_offset.domain.statement.Statement` out.

Pure: bytes in, values out. What is wrong is said as ``UnreadableStatementError``; an amount
that cannot be read is refused, never taken for nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from cnn_offset.domain.statement import (
    MOST_BYTES,
    Statement,
    StatementFormat,
    UnreadableStatementError,
)
from cnn_offset.domain.text import N_
from cnn_offset.plugins.payments.statements.camt053 import read_camt053
from cnn_offset.plugins.payments.statements.mt940 import read_mt940
from cnn_offset.plugins.payments.statements.table import TableMapping, read_table

_NOT_TEXT: Final = (b"%PDF", b"PK\x03\x04", b"\xd0\xcf\x11\xe0", b"\x89PNG", b"\xff\xd8\xff")


def format_of(data: bytes) -> StatementFormat:
    """Tell the kind of file by what it begins with.

    Raises:
        UnreadableStatementError: empty, too large, or no text at all.

    """
    if len(data) > MOST_BYTES:
        raise UnreadableStatementError(
            N_("The file is larger than 10 MB. Please upload shorter periods.")
        )
    if not data.strip():
        raise UnreadableStatementError(N_("The file is empty."))
    is_wide = data[:2] in (b"\xff\xfe", b"\xfe\xff")
    if data.startswith(_NOT_TEXT) or (not is_wide and b"\0" in data[:4096]):
        raise UnreadableStatementError(
            N_(
                "This is no statement that can be read. Please ask your bank for CAMT.053, "
                "MT940 or CSV."
            )
        )
    head = data[:4096]
    if is_wide:
        head = head[: len(head) & ~1].decode("utf-16", "replace").encode()
    head = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if head.startswith(b"<"):
        return StatementFormat.CAMT053
    if b":20:" in head and (b":25" in head or b":60" in head):
        return StatementFormat.MT940
    return StatementFormat.CSV


def read(data: bytes, mapping: TableMapping | None = None) -> Sequence[Statement]:
    """Read a file of any kind; of a table ``mapping`` says what its columns are.

    Raises:
        UnreadableStatementError: it cannot be believed; the text says why.

    """
    kind = format_of(data)
    if kind is StatementFormat.CAMT053:
        return read_camt053(data)
    if kind is StatementFormat.MT940:
        return read_mt940(data)
    if mapping is None:
        raise UnreadableStatementError(N_("Please say first what the columns of the file are."))
    return [read_table(data, mapping)]


__all__ = ["TableMapping", "format_of", "read", "read_table"]
