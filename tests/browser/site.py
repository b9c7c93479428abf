"""A whole shop as ``cnn-offset run`` starts it, and what its books and its mailbox say."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any
from urllib.parse import quote

import requests

from cnn_offset import running

COMMAND = str(Path(sys.executable).parent / "cnn-offset")


def _two_free_ports() -> int:
    """Return the first of two neighbours, below those the system hands out to clients."""
    while True:
        port = random.randrange(10_000, 30_000, 2)
        if running.is_free(port) and running.is_free(port + 1):
            return port


class Site:
    """Web, worker and sandbox with the demo's data, in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        port = _two_free_ports()
        self.url = f"http://127.0.0.1:{port}"
        self.sandbox = f"http://127.0.0.1:{port + 1}"
        self._log = folder / "log"
        environment = {
            **{name: each for name, each in os.environ.items() if name[:11] != "CNN_OFFSET_"},
            "PORT": str(port),
            # All visitors of the test share one address, and nobody likes to wait.
            "CNN_OFFSET_RATE_LIMITS": "false",
            "CNN_OFFSET_SWEEP_SECONDS": "0.5",
        }
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [COMMAND, "run"],
                cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip
        try:
            self.soon(self._is_settled, seconds=90, what="the start of the shop")
            if self._process.poll() is not None:
                raise RuntimeError(f"no shop: {self.log()}")
        except BaseException:
            self.stop()
            raise

    def _is_settled(self) -> bool:
        return self._process.poll() is not None or "The shop is at" in self.log()

    def stop(self) -> None:
        """End all processes, as Ctrl-C does."""
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise

    def log(self) -> str:
        """What all processes wrote."""
        return self._log.read_text(errors="replace")

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run ``cnn-offset`` beside the shop."""
        return subprocess.run(
            [COMMAND, *words], cwd=self.folder, capture_output=True, text=True, check=False
        )

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Ask the shop's database, which is only read."""
        path = self.folder / "instance" / "cnn_offset.sqlite"
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)) as connection:
            return connection.execute(query, values).fetchall()

    def orders_of(self, email: str) -> list[str]:
        """The status of each order of ``email``, oldest first."""
        return [
            status.casefold()
            for (status,) in self.rows(
                'SELECT status FROM "order" WHERE email = ? ORDER BY id', email
            )
        ]

    def captured_for(self, email: str) -> int:
        """How many payments of ``email`` brought money, by the processors' own books."""
        keys = {
            key
            for (key,) in self.rows(
                'SELECT p.key FROM payment p JOIN "order" o ON o.id = p.order_id WHERE o.email = ?',
                email,
            )
        }
        return sum(
            payment["key"] in keys and float(payment["captured"]) > 0
            for processor in ("paypal", "stripe")
            for payment in self._json(f"/{processor}/audit")["payments"]
        )

    def mails_to(self, email: str) -> list[dict[str, Any]]:
        """The mails in the sandbox's mailbox, oldest first."""
        found: list[dict[str, Any]] = self._json(f"/mailbox/messages?to={quote(email)}")["messages"]
        return found

    def letters_to(self, email: str) -> list[str]:
        """Subject and text of each mail, oldest first."""
        letters = []
        for mail in self.mails_to(email):
            raw = requests.get(f"{self.sandbox}/mailbox/{mail['id']}/raw", timeout=10).content
            parsed = message_from_bytes(raw, policy=policy.default)
            body = parsed.get_body(("plain",))
            letters.append(f"{parsed['Subject']}\n{body.get_content() if body else ''}")
        return letters

    def attached_to(self, email: str) -> list[bytes]:
        """All PDFs that were mailed to ``email``."""
        return [
            requests.get(
                f"{self.sandbox}/mailbox/{mail['id']}/attachments/{at}", timeout=10
            ).content
            for mail in self.mails_to(email)
            for at, name in enumerate(mail["attachments"])
            if name.endswith(".pdf")
        ]

    def soon(self, happened: Callable[[], object], *, seconds: float = 30, what: str) -> None:
        """Wait until ``happened`` is true."""
        until = time.monotonic() + seconds
        while not happened():
            if time.monotonic() > until:
                raise AssertionError(f"{what} did not happen in {seconds} s")
            time.sleep(0.1)

    def _json(self, path: str) -> Any:
        return requests.get(self.sandbox + path, timeout=10).json()
