"""What can be wrong with a file, and with a row of it; in plain English, for operators."""

from __future__ import annotations


class FileFaultError(Exception):
    """The file, or its mapping, cannot be imported at all. The text says what to do."""


class RowFaultError(Exception):
    """A row is refused. The text says why; the rows around it are not touched by it."""
