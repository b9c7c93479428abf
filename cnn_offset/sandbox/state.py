"""What the sandbox remembers: JSON documents in one SQLite file, or in memory."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flask import current_app

Document = dict[str, Any]


class State:
    """Documents by kind and key, in the order in which they were first put.

    Every method takes the lock itself. To read, decide and write as one step, do it
    inside ``with state.transaction():``, which undoes everything if an error leaves it.
    Never sleep or send anything inside one: it stops the whole sandbox.
    """

    def __init__(self, path: str | None = None) -> None:
        self._lock = threading.RLock()
        self._depth = 0
        self._db = sqlite3.connect(
            path or ":memory:", isolation_level=None, check_same_thread=False, timeout=15
        )
        self._db.execute("PRAGMA journal_mode = WAL")
        # Survives a killed process, which is all that a sandbox promises.
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS document (n INTEGER PRIMARY KEY AUTOINCREMENT,"
            " kind TEXT NOT NULL, key TEXT NOT NULL, part TEXT NOT NULL, body TEXT NOT NULL,"
            " UNIQUE (kind, key))"
        )
        self._db.execute("CREATE INDEX IF NOT EXISTS document_part ON document (kind, part, n)")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Hold the lock, and keep either all changes made inside or none; may be nested."""
        with self._lock:
            if self._depth == 0:
                self._db.execute("BEGIN IMMEDIATE")
            self._depth += 1
            try:
                yield
            except BaseException:
                if self._depth == 1:
                    self._db.execute("ROLLBACK")
                raise
            else:
                if self._depth == 1:
                    self._db.execute("COMMIT")
            finally:
                self._depth -= 1

    def get(self, kind: str, key: str) -> Document | None:
        """Return a copy of one document, or None."""
        with self._lock:
            row = self._db.execute(
                "SELECT body FROM document WHERE kind = ? AND key = ?", (kind, key)
            ).fetchone()
        return None if row is None else json.loads(row[0])

    def put(self, kind: str, key: str, body: Document, *, part: str = "") -> None:
        """Store a document in the place of any earlier one of this kind and key.

        ``part`` sorts it under something to list it by, such as an account.
        """
        with self.transaction():
            self._db.execute(
                "INSERT INTO document (kind, key, part, body) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (kind, key) DO UPDATE SET part = excluded.part,"
                " body = excluded.body",
                (kind, key, part, json.dumps(body)),
            )

    def delete(self, kind: str, key: str | None = None) -> None:
        """Forget one document, or all of a kind."""
        with self.transaction():
            self._db.execute(
                "DELETE FROM document WHERE kind = ? AND key = coalesce(?, key)", (kind, key)
            )

    def rows(
        self, kind: str, *, part: str | None = None, after: int = 0, limit: int = -1
    ) -> list[tuple[int, str, Document]]:
        """List number, key and document of a kind (and part), oldest first.

        ``after`` is the number of the last row of the page before.
        """
        with self._lock:
            found = self._db.execute(
                "SELECT n, key, body FROM document"
                " WHERE kind = ? AND n > ? AND (? IS NULL OR part = ?) ORDER BY n LIMIT ?",
                (kind, after, part, part, limit),
            ).fetchall()
        return [(n, key, json.loads(body)) for n, key, body in found]

    def all(self, kind: str, *, part: str | None = None) -> list[Document]:
        """List the documents of a kind (and part), oldest first."""
        return [body for _, _, body in self.rows(kind, part=part)]

    def number(self, name: str) -> int:
        """Count up: 1, 2, 3 … for each name."""
        with self.transaction():
            value = int((self.get("number", name) or {"value": 0})["value"]) + 1
            self.put("number", name, {"value": value})
        return value

    def clear(self) -> None:
        """Forget everything."""
        with self.transaction():
            self._db.execute("DELETE FROM document")

    def close(self) -> None:
        """Close the file; the sandbox is of no use afterwards."""
        with self._lock:
            self._db.close()


def current_state() -> State:
    """Return the state of the sandbox that answers this request."""
    state: State = current_app.extensions["sandbox.state"]
    return state
