"""Fetching mails by IMAP, from a small server of our own."""

from __future__ import annotations

import re
import socketserver
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from cnn_offset import jobs
from cnn_offset.config import ConfigError, read_settings
from cnn_offset.extensions import db, platform
from cnn_offset.mail import mailbox
from cnn_offset.models import Chore, IncomingMail
from tests.casework import make_case, reply
from tests.conftest import Clock, settings


class _Imap(socketserver.StreamRequestHandler):
    """As much of IMAP4rev1 as fetching takes."""

    def handle(self) -> None:
        server: Any = self.server
        self._say(b"* OK IMAP4rev1 test")
        while line := self.rfile.readline().strip():
            server.said.append(line)
            tag, _, rest = line.partition(b" ")
            verb = rest.split()[0].upper() if rest else b""
            if verb == b"LOGIN" and server.refuses:
                self._say(tag + b" NO [AUTHENTICATIONFAILED] no")
                continue
            if verb == b"CAPABILITY":
                self._say(b"* CAPABILITY IMAP4rev1")
            elif verb == b"SELECT":
                self._say(b"* %d EXISTS" % len(server.mails))
            elif verb == b"UID":
                self._uid(server, rest)
            elif verb == b"LOGOUT":
                self._say(b"* BYE")
            self._say(tag + b" OK done")

    def _uid(self, server: Any, rest: bytes) -> None:
        if b"SEARCH" in rest:
            unseen = [b"%d" % uid for uid in server.mails if uid not in server.seen]
            self._say(b"* SEARCH " + b" ".join(unseen))
        elif (found := re.search(rb"FETCH (\d+) \(BODY\.PEEK\[\]<0\.(\d+)>\)", rest)) is not None:
            raw = server.mails[int(found[1])][: int(found[2])]
            self._say(b"* 1 FETCH (UID %s BODY[]<0> {%d}" % (found[1], len(raw)))
            self.wfile.write(raw + b")\r\n")
        elif (found := re.search(rb"STORE (\d+) \+FLAGS", rest)) is not None:
            server.seen.add(int(found[1]))

    def _say(self, line: bytes) -> None:
        self.wfile.write(line + b"\r\n")


@pytest.fixture
def imap() -> Iterator[Any]:
    server: Any = socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Imap)
    server.daemon_threads = True
    server.said, server.mails, server.seen, server.refuses = [], {}, set(), False
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def post(make_app: Any, imap: Any) -> Iterator[Flask]:
    url = f"imap://us%40example.org:p%2Fw@127.0.0.1:{imap.server_address[1]}/Cases"
    app: Flask = make_app(INCOMING_MAIL_URL=url)
    with app.app_context():
        yield app
        db.session.remove()


def test_what_is_new_is_kept_then_seen(post: Flask, imap: Any, clock: Clock) -> None:
    case = make_case()
    imap.mails = {
        4: reply(case, "One").as_bytes(),
        7: reply(case, "Two").as_bytes(),
        9: reply(case, "no", To="nobody@example.org").as_bytes(),
    }
    assert mailbox.fetch_mail(platform()) == clock() + mailbox.PAUSE
    assert db.session.query(IncomingMail).count() == 2
    assert imap.seen == {4, 7, 9}
    said = b"\n".join(imap.said)
    assert b'LOGIN us@example.org "p/w"' in said
    assert b'SELECT "Cases"' in said
    # The same mail again, as after a crash before it was marked.
    imap.seen.clear()
    mailbox.fetch_mail(platform())
    assert db.session.query(IncomingMail).count() == 2


def test_many_mails_take_several_turns(
    post: Flask, imap: Any, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = make_case()
    imap.mails = {n: reply(case, f"Mail {n}").as_bytes() for n in range(1, 6)}
    monkeypatch.setattr(mailbox, "MOST", 2)
    assert mailbox.fetch_mail(platform()) == clock()
    assert imap.seen == {1, 2}
    monkeypatch.setattr(mailbox, "MOST_BYTES", 1)
    mailbox.fetch_mail(platform())
    assert imap.seen == {1, 2, 3}


def test_of_a_very_large_mail_the_beginning_is_read(
    post: Flask, imap: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = make_case()
    monkeypatch.setattr(mailbox, "LARGEST_MAIL", 2000)
    imap.mails = {1: reply(case, "Short. " + "x" * 5000).as_bytes()}
    mailbox.fetch_mail(platform())
    assert db.session.query(IncomingMail).one().size == 2000


def test_a_mailbox_that_refuses_is_tried_again(post: Flask, imap: Any, clock: Clock) -> None:
    imap.refuses = True
    with pytest.raises(OSError, match="the mailbox refuses"):
        mailbox.fetch_mail(platform())
    imap.refuses = False
    chore = db.session.query(Chore).filter_by(name="mailbox").one()
    assert jobs.do("chore", chore.id)
    chore = db.session.get_one(Chore, chore.id, populate_existing=True)
    assert chore.due_at == clock() + mailbox.PAUSE


def test_without_a_mailbox_nothing_is_fetched(app: Flask, clock: Clock) -> None:
    with app.app_context():
        assert mailbox.fetch_mail(platform()) == clock() + timedelta(hours=1)


def test_a_password_never_goes_without_encryption(
    post: Flask, imap: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = ("127.0.0.1", imap.server_address[1])
    monkeypatch.setattr("socket.getaddrinfo", lambda *a, **k: [(2, 1, 6, "", address)])
    with pytest.raises(OSError, match="must not go without"):
        mailbox._connected("imap", "mail.example.org", address[1])
    assert not any(b"LOGIN" in each for each in imap.said)


@pytest.mark.parametrize(
    "changes",
    [
        {"INCOMING_MAIL_URL": "https://mail.example.org"},
        {"INCOMING_MAIL_URL": "mail.example.org"},
        {"INCOMING_MAIL_TOKEN": "short"},
    ],
)
def test_wrong_settings_stop_the_start(changes: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match=next(iter(changes))):
        read_settings(settings(**changes))
