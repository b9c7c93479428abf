"""Reading mails that people and machines send us. Bytes in, values out; nothing is believed.

Of the files only pictures (drawn afresh), PDFs and plain text are kept; of the words what is
new, without the mail that they answer.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import Message
from email.parser import BytesHeaderParser
from email.utils import getaddresses, parseaddr
from html.parser import HTMLParser
from typing import Final

from cnn_offset.domain.text import N_, clean_prose
from cnn_offset.pictures import reencode
from cnn_offset.proofs import clean_filename
from cnn_offset.services import ServiceError
from cnn_offset.services.incoming import Bounce, Head

LARGEST_MAIL: Final = 50 * 2**20
"""Bytes of a mail that are looked at; what comes after them is as if it were not there."""
LARGEST_FILE: Final = 5 * 2**20
MOST_FILES: Final = 5
TEXT_LENGTH: Final = 20_000
_LOGO: Final = 30_000
"""A picture inside the text that is smaller than this belongs to a signature."""
_ADDRESSED: Final = ("To", "Cc", "Delivered-To", "X-Original-To", "Envelope-To")
_MESSAGE_ID: Final = re.compile(r"<[!-;=?-~]{1,240}>", re.ASCII)
_PICTURES: Final = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF")

TOO_LARGE: Final = N_("It is larger than 5 MB.")
TOO_MANY: Final = N_("There are more than five files.")
NOT_TAKEN: Final = N_("It is no picture, PDF or plain text.")
BROKEN: Final = N_("It is damaged, or not what its name says.")


@dataclass(frozen=True)
class File:
    """A file of a mail that can be kept."""

    filename: str
    content_type: str
    data: bytes = field(repr=False)

    @property
    def sha256(self) -> str:
        """What tells it from every other."""
        return hashlib.sha256(self.data).hexdigest()

    @property
    def path(self) -> str:
        """Where it lies in the file store."""
        return f"cases/{self.sha256}"


@dataclass(frozen=True)
class Parsed:
    """What a mail says, its files still in hand."""

    head: Head
    sender: str
    text: str
    is_automatic: bool
    files: Sequence[File]
    left_out: Sequence[tuple[str, str]]
    bounce: Bounce | None


def read_head(raw: bytes) -> Head:
    """Return what the head of a mail says of where it comes from and goes to."""
    mail = BytesHeaderParser(policy=policy.compat32).parsebytes(raw[: 256 * 1024])
    named = [str(value) for name in _ADDRESSED for value in mail.get_all(name, [])]
    found = _MESSAGE_ID.search(str(mail["Message-ID"] or ""))
    message_id = found[0] if found else ""
    return Head(
        key=hashlib.sha256(message_id.encode() or raw).hexdigest(),
        message_id=message_id,
        to=tuple(dict.fromkeys(each for _, each in getaddresses(named) if each)),
        is_report=_is_report(mail),
    )


def _is_report(mail: Message) -> bool:
    return (
        mail.get_content_type() == "multipart/report"
        and str(mail.get_param("report-type", "")).lower() == "delivery-status"
    )


def parse(raw: bytes) -> Parsed:
    """Read a mail. Whatever is wrong with it, something is returned."""
    head = read_head(raw)
    try:
        return _parsed(head, raw, message_from_bytes(raw, policy=policy.default))
    except (ValueError, LookupError, TypeError, AttributeError):
        # Its headers are broken in a way that the modern reader does not bear.
        return _parsed(head, raw, message_from_bytes(raw, policy=policy.compat32))


def _parsed(head: Head, raw: bytes, mail: Message) -> Parsed:
    files, left_out = _files(mail)
    return Parsed(
        head=head,
        sender=_sender(raw),
        text=_text(mail),
        is_automatic=_is_automatic(raw),
        files=files,
        left_out=left_out,
        bounce=_bounce(mail) if head.is_report else None,
    )


def _plain_head(raw: bytes) -> Message:
    # The modern policy raises on some broken headers; this one hands out what is there.
    return BytesHeaderParser(policy=policy.compat32).parsebytes(raw[: 256 * 1024])


def _sender(raw: bytes) -> str:
    address = parseaddr(str(_plain_head(raw)["From"] or ""))[1]
    return re.sub(r"[^!-~]", "", address)[:254].lower()


def _is_automatic(raw: bytes) -> bool:
    """Tell whether a machine wrote it (RFC 3834, and what was usual before it)."""
    mail = _plain_head(raw)

    def says(name: str) -> str:
        return str(mail[name] or "").strip().lower()

    return (
        says("Auto-Submitted").partition(";")[0].strip() not in ("", "no")
        or says("Precedence") in ("bulk", "junk", "list", "auto_reply")
        or any(
            mail[name] is not None
            for name in ("X-Auto-Response-Suppress", "X-Autoreply", "X-Autorespond", "List-Id")
        )
        or says("Return-Path") == "<>"
        or says("From").startswith(("mailer-daemon@", "<mailer-daemon@"))
        or _is_report(mail)
    )


def _parts(mail: Message) -> Iterator[Message]:
    """Return the leaves; a mail inside a mail is one leaf."""
    if mail.get_content_maintype() == "multipart" and mail.is_multipart():
        for each in mail.get_payload():
            if isinstance(each, Message):
                yield from _parts(each)
    else:
        yield mail


def _body(mail: Message) -> Message | None:
    """Return the part that holds the words: plain ones if there are."""
    for kind in ("text/plain", "text/html"):
        for part in _parts(mail):
            if part.get_content_type() == kind and part.get_content_disposition() != "attachment":
                return part
    return None


def _bytes(part: Message) -> bytes:
    data = part.get_payload(decode=True)
    return data if isinstance(data, bytes) else b""


def _decoded(part: Message) -> str:
    charset = str(part.get_content_charset() or "utf-8")
    try:
        return _bytes(part).decode(charset, "replace")
    except LookupError:
        return _bytes(part).decode("utf-8", "replace")


def _text(mail: Message) -> str:
    part = _body(mail)
    if part is None:
        return ""
    words = _decoded(part)[:2_000_000]
    if part.get_content_type() == "text/html":
        words = html_to_text(words)
    # Four times the length: what is quoted goes before it is cut.
    text = without_quoted(clean_prose(words[: 4 * TEXT_LENGTH]))
    return text if len(text) <= TEXT_LENGTH else f"{text[:TEXT_LENGTH]} […]"


_WROTE: Final = re.compile(
    r"(on\b.{4,200}\bwrote|le\b.{4,200}\ba écrit|el\b.{4,200}\bescribió)\s*:\s*", re.IGNORECASE
)
_ORIGINAL: Final = re.compile(
    r"-{2,}\s*(original message|message d['’]origine|mensaje original|forwarded message)\s*-{2,}"
    r"|_{20,}",
    re.IGNORECASE,
)
QUOTED: Final = "[…]"
"""Stands for the mail that is answered, which we have already."""


def without_quoted(text: str) -> str:
    """Return ``text`` without the mail that it answers, if that stands below it.

    Words between quoted lines keep what they answer. A text that is all quoted stays.
    """
    lines = text.split("\n")
    cut = len(lines)
    for at, line in enumerate(lines):
        if _ORIGINAL.fullmatch(line.strip()):
            cut = at
            break
    while cut and (not lines[cut - 1].strip() or lines[cut - 1].lstrip().startswith(">")):
        cut -= 1
    quoted = any(line.strip() for line in lines[cut:])
    # "On Monday Ada wrote:" may run over two or three lines.
    for many in (1, 2, 3):
        if quoted and cut >= many and _WROTE.fullmatch(" ".join(lines[cut - many : cut]).strip()):
            cut -= many
            break
    own = "\n".join(lines[:cut]).strip("\n")
    if not own.strip():
        return text
    return f"{own}\n\n{QUOTED}" if quoted else own


class _Words(HTMLParser):
    """Collects what a page says, with a line for each block."""

    _BLOCKS: Final = frozenset(
        [
            "address",
            "article",
            "blockquote",
            "br",
            "div",
            "dd",
            "dl",
            "dt",
            "h1",
            "h2",
            "h3",
            "h4",
            "h5",
            "h6",
            "hr",
            "li",
            "ol",
            "p",
            "pre",
            "table",
            "tr",
            "ul",
        ]
    )
    _SILENT: Final = frozenset({"head", "script", "style", "template", "title"})

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.said: list[str] = []
        self._silent = 0
        self._quoted = 0

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag in self._SILENT:
            self._silent += 1
        if tag == "blockquote":
            self._quoted += 1
        if tag in self._BLOCKS:
            self.said.append("\n" + "> " * bool(self._quoted))

    def handle_endtag(self, tag: str) -> None:
        if tag in self._SILENT:
            self._silent = max(0, self._silent - 1)
        if tag == "blockquote":
            self._quoted = max(0, self._quoted - 1)
        if tag in self._BLOCKS:
            self.said.append("\n" + "> " * bool(self._quoted))

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.said.append(re.sub(r"\s+", " ", data))


def html_to_text(page: str) -> str:
    """Return the words of a page of HTML, quoted ones behind ``>``."""
    words = _Words()
    words.feed(page)
    words.close()
    lines = [line.strip() for line in "".join(words.said).split("\n")]
    shown = [line for line in lines if line != ">"]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(shown)).strip()


def _files(mail: Message) -> tuple[list[File], list[tuple[str, str]]]:
    kept: list[File] = []
    left_out: list[tuple[str, str]] = []
    body, seen_text = _body(mail), False
    for part in _parts(mail):
        is_text = part.get_content_maintype() == "text"
        if part is body or (is_text and not part.get_filename()):
            # The words, the same ones as HTML, or a line that a list has put below them.
            seen_text = True
            continue
        data = _bytes(part)
        inline = part.get_content_disposition() != "attachment" and part["Content-ID"]
        if inline and seen_text and len(data) < _LOGO:
            continue
        name = part.get_filename() or ""
        shown = clean_filename(name)
        if len(kept) == MOST_FILES:
            left_out.append((shown, TOO_MANY))
        elif len(data) > LARGEST_FILE:
            left_out.append((shown, TOO_LARGE))
        else:
            try:
                kept.append(_file(part, data, name))
            except ServiceError as error:
                left_out.append((shown, error.message))
    return kept, left_out


def _file(part: Message, data: bytes, name: str) -> File:
    if data.startswith(b"%PDF-") and b"%%EOF" in data[-2048:]:
        return File(clean_filename(name, "pdf"), "application/pdf", data)
    if data.startswith(_PICTURES):
        try:
            pixels, content_type = reencode(data)
        except ServiceError as error:
            raise ServiceError(BROKEN) from error
        return File(clean_filename(name, "jpg"), content_type, pixels)
    if part.get_content_type() == "text/plain" and b"\0" not in data:
        text = _decoded(part).encode()
        return File(clean_filename(name, "txt"), "text/plain; charset=utf-8", text)
    raise ServiceError(NOT_TAKEN)


def _bounce(mail: Message) -> Bounce | None:
    """Read a delivery-status report (RFC 3464): which mail of ours, and why."""
    message_id, reasons, final = "", [], False
    for part in _parts(mail):
        kind = part.get_content_type()
        if kind == "message/delivery-status":
            blocks = part.get_payload()
            for block in blocks if isinstance(blocks, list) else []:
                if not isinstance(block, Message) or str(block["Action"] or "") == "":
                    continue
                final = final or str(block["Action"]).strip().lower() == "failed"
                said = block["Diagnostic-Code"] or block["Status"] or ""
                reasons.append(" ".join(str(said).split()))
        elif kind in ("message/rfc822", "text/rfc822-headers"):
            payload = part.get_payload()
            inner = payload[0] if isinstance(payload, list) and payload else None
            text = (
                str(inner["Message-ID"] or "")
                if isinstance(inner, Message)
                else _header_in(_decoded(part))
            )
            found = _MESSAGE_ID.search(text)
            message_id = found[0] if found else message_id
    if not message_id or not reasons:
        return None
    shown = clean_prose(" ".join(each for each in reasons if each))[:500]
    return Bounce(message_id, shown or "no reason given", final)


def _header_in(text: str) -> str:
    found = re.search(r"^message-id:\s*(\S+)", text, re.IGNORECASE | re.MULTILINE)
    return found[1] if found else ""
