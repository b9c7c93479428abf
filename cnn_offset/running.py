"""Starting everything with one command: configuration, schema, demo, processes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from types import FrameType

import requests

MARK = "# Written by `make run` for the demo; remove this line to keep changes of your own.\n"
DEMO_CONFIG = """
MODE = "development"
PUBLIC_URL = "http://127.0.0.1:{port}"
MAIL_URL = "http://127.0.0.1:{sandbox}/mailbox"
INCOMING_MAIL_TOKEN = "sandbox-incoming-mail"
SANDBOX_URL = "http://127.0.0.1:{sandbox}"

[PAYMENTS.paypal]
base_url = "http://127.0.0.1:{sandbox}/paypal"
client_id = "sandbox-client"
client_secret = "sandbox-secret"
webhook_id = "WH-SANDBOX"
partner_id = "SANDBX2PARTNR"
read_disputes = true

[PAYMENTS.stripe_connect]
base_url = "http://127.0.0.1:{sandbox}/stripe"
secret_key = "sk_test_sandbox"
webhook_secret = "whsec_sandbox"

[PAYMENTS.bank_transfer]

[REGISTRIES.cdm]
connector = "cdm"
base_url = "http://127.0.0.1:{sandbox}/registries/cdm"
token = "sandbox-cdm"
deduplicates = true
last_order = {last:%Y-%m-%d}T00:00:00Z
last_cancellation = {end:%Y-%m-%d}T00:00:00Z
closed = {end:%Y-%m-%d}T23:59:59Z

[REGISTRIES.a64_interim]
connector = "a64_interim"
base_url = "http://127.0.0.1:{sandbox}/registries/a64-interim"
token = "sandbox-a64-interim"
deduplicates = true

[REGISTRIES.a64_final]
connector = "a64_final"
base_url = "http://127.0.0.1:{sandbox}/registries/a64-final"
token = "sandbox-a64-final"
settle_seconds = 60
"""


def write_demo_config(instance: Path, port: int, today: date) -> bool:
    """Write the demo's configuration unless there is one of the operator's own.

    The CDM registry closes on 31 December 2026; in the demo later if that is near or
    over, so that there is something to see. Returns whether the configuration is the demo's.
    """
    path = instance / "config.toml"
    if path.exists() and not path.read_text().startswith(MARK):
        return False
    instance.mkdir(parents=True, exist_ok=True)
    end = max(date(2026, 12, 31), today + timedelta(days=38))
    path.write_text(
        MARK
        + DEMO_CONFIG.format(port=port, sandbox=port + 1, end=end, last=end - timedelta(days=3))
    )
    return True


def is_free(port: int) -> bool:
    """Whether a server could listen on ``port`` of this machine."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def wait_for(url: str, seconds: float = 120) -> None:
    """Wait until ``url`` answers.

    Raises:
        TimeoutError: it does not.

    """
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            if requests.get(url, timeout=2).status_code < 500:
                return
        except requests.RequestException:
            pass
        time.sleep(0.1)
    raise TimeoutError(f"{url} does not answer")


def granian(port: int, *, workers: int, host: str = "127.0.0.1") -> list[str]:
    """Return the command that serves the application."""
    return [
        sys.executable, "-m", "granian", "--interface", "wsgi", "--factory",
        "--host", host, "--port", str(port), "--workers", str(workers),
        "--blocking-threads", "4", "--log-level", "warning", "--no-ws",
        "cnn_offset.app:create_app",
    ]  # fmt: skip


class Processes:
    """Children that are started again when they die, and all end with us."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = {**os.environ, **environment}
        self._commands: dict[str, Sequence[str]] = {}
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._stopping = False

    def start(self, name: str, command: Sequence[str]) -> None:
        """Start a child in a group of its own, so that Ctrl-C reaches it through us only."""
        self._commands[name] = command
        self._children[name] = subprocess.Popen(  # noqa: S603 - our own commands
            command, env=self._environment, start_new_session=True
        )

    def watch(self) -> None:
        """Start again what dies, until a signal to stop comes; then end all."""

        def stop(_signal: int, _frame: FrameType | None) -> None:
            self._stopping = True

        signal.signal(signal.SIGINT, stop)
        signal.signal(signal.SIGTERM, stop)
        while not self._stopping:
            for name, child in list(self._children.items()):
                if child.poll() is not None and not self._stopping:
                    print(f"{name} ended with {child.returncode}; starting it again", flush=True)
                    time.sleep(1)
                    self.start(name, self._commands[name])
            time.sleep(0.2)
        self.stop()

    def stop(self) -> None:
        """End all children: kindly, then firmly."""
        for child in self._children.values():
            if child.poll() is None:
                child.terminate()
        until = time.monotonic() + 10
        for child in self._children.values():
            try:
                child.wait(max(0.1, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                os.killpg(child.pid, signal.SIGKILL)
