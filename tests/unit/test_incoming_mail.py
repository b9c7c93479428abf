"""Mails as people and machines send them: words, quoted words, files, reports, odd things."""

from __future__ import annotations

import io
from email.message import EmailMessage

import pytest
from PIL import Image

from cnn_offset.mail import incoming
from cnn_offset.mail.incoming import (
    BROKEN,
    NOT_TAKEN,
    TOO_LARGE,
    TOO_MANY,
    html_to_text,
    parse,
    read_head,
    without_quoted,
)


def a_mail(text: str = "Hello", **headers: str) -> EmailMessage:
    made = EmailMessage()
    for name, value in {
        "From": "Ada <Ada@Example.org>",
        "To": "case@example.org",
        **headers,
    }.items():
        made[name.replace("_", "-")] = value
    made.set_content(text)
    return made


def picture(kind: str = "PNG") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (300, 200), "#abc").save(out, kind)
    return out.getvalue()


def attach(
    mail: EmailMessage, data: bytes, name: str, kind: str = "application/octet-stream"
) -> None:
    maintype, _, subtype = kind.partition("/")
    mail.add_attachment(data, maintype=maintype, subtype=subtype, filename=name)


def test_the_head() -> None:
    mail = a_mail(Cc="B <b@example.org>", Message_ID="<1@x>", Delivered_To="c@example.org")
    head = read_head(mail.as_bytes())
    assert set(head.to) == {"case@example.org", "b@example.org", "c@example.org"}
    assert head.message_id == "<1@x>"
    assert not head.is_report
    assert read_head(a_mail(Message_ID="<1@x>", Subject="other").as_bytes()).key == head.key
    # Without a Message-ID the whole mail tells it apart.
    assert read_head(a_mail("a").as_bytes()).key != read_head(a_mail("b").as_bytes()).key


@pytest.mark.parametrize(
    ("text", "own"),
    [
        ("Thanks.\n\nOn Monday, 2 Nov 2026, Us <u@x.org> wrote:\n> Hello\n> you", "Thanks.\n\n[…]"),
        ("Merci.\n\nLe 2 nov. 2026 à 9:00, Us\n<u@x.org> a écrit :\n> Bonjour", "Merci.\n\n[…]"),
        ("Gracias.\n\nEl lun, 2 nov 2026, Us escribió:\n\n> Hola\n\n", "Gracias.\n\n[…]"),
        ("Yes.\n-----Original Message-----\nFrom: us\nHello", "Yes.\n\n[…]"),
        ("Yes.\n________________________________\nFrom: us\nHello", "Yes.\n\n[…]"),
        ("> Where?\nHere.\n> When?\nNow.", "> Where?\nHere.\n> When?\nNow."),
        ("> all\n> quoted", "> all\n> quoted"),
        ("Plain words.\nOn Monday I wrote:\nnothing.", "Plain words.\nOn Monday I wrote:\nnothing."),
        ("", ""),
    ],
)  # fmt: skip
def test_what_is_quoted_goes(text: str, own: str) -> None:
    assert without_quoted(text) == own


def test_html_becomes_text() -> None:
    page = """<html><head><title>no</title><style>p{}</style></head><body><p>One &amp; two</p>
    <script>alert(1)</script><div>Three<br>four &lt;b&gt;</div>
    <blockquote><p>old</p></blockquote></body></html>"""
    text = html_to_text(page)
    assert text.startswith("One & two\n\nThree\nfour <b>")
    assert "> old" in text
    assert "alert" not in text
    assert "no" not in text.split("\n")
    assert html_to_text("<p>open <b>never closed") == "open never closed"


def test_words_of_html_only_and_of_odd_charsets() -> None:
    mail = EmailMessage()
    mail["From"] = "a@example.org"
    mail.set_content("<p>Bonjour</p>", subtype="html")
    assert parse(mail.as_bytes()).text == "Bonjour"
    raw = b"From: a@example.org\r\nContent-Type: text/plain; charset=no-such\r\n\r\nHall\xf6"
    assert parse(raw).text == "Hall\ufffd"
    raw = b"From: a@example.org\r\nContent-Type: text/plain; charset=iso-8859-1\r\n\r\nHall\xf6"
    assert parse(raw).text == "Hallö"


def test_what_cannot_be_seen_goes_and_length_is_limited() -> None:
    assert parse(a_mail("a\u202eb\u200bc").as_bytes()).text == "abc"
    long = parse(a_mail("word " * 10_000).as_bytes()).text
    assert len(long) <= incoming.TEXT_LENGTH + 4
    assert long.endswith("[…]")


def test_files_that_are_kept() -> None:
    mail = a_mail()
    attach(mail, picture("JPEG"), "photo.jpg", "image/jpeg")
    attach(mail, picture(), "..\\evil/../sch\u00f6n.exe", "application/octet-stream")
    attach(mail, b"%PDF-1.4 x %%EOF", "paper.pdf", "application/pdf")
    attach(mail, "Größe".encode("latin-1"), "note.html.txt", "text/plain")
    parsed = parse(mail.as_bytes())
    assert parsed.text == "Hello"
    assert [(each.filename, each.content_type) for each in parsed.files] == [
        ("photo.jpg", "image/jpeg"),
        ("schön.jpg", "image/jpeg"),
        ("paper.pdf", "application/pdf"),
        ("note.html.txt", "text/plain; charset=utf-8"),
    ]
    assert parsed.left_out == []
    # Drawn afresh: not the bytes that came.
    assert parsed.files[0].data != picture("JPEG")


def test_files_that_are_not() -> None:
    mail = a_mail()
    attach(mail, b"x" * (5 * 2**20 + 1), "film.mp4", "video/mp4")
    attach(mail, b"MZ\x90", "run.exe")
    attach(mail, b"<svg onload=x>", "drawing.svg", "image/svg+xml")
    attach(mail, b"\x89PNG\r\n\x1a\nbroken", "photo.png", "image/png")
    attach(mail, b"a\0b", "note.txt", "text/plain")
    mail.add_attachment(a_mail("inside"))
    parsed = parse(mail.as_bytes())
    assert parsed.files == []
    assert [why for _, why in parsed.left_out] == [
        TOO_LARGE, NOT_TAKEN, NOT_TAKEN, BROKEN, NOT_TAKEN, NOT_TAKEN,
    ]  # fmt: skip
    assert parsed.left_out[0][0] == "film.mp4"


def test_more_than_five_files_and_logos() -> None:
    mail = a_mail()
    for n in range(7):
        attach(mail, b"%PDF-1 %%EOF", f"{n}.pdf", "application/pdf")
    parsed = parse(mail.as_bytes())
    assert len(parsed.files) == 5
    assert parsed.left_out == [("5.pdf", TOO_MANY), ("6.pdf", TOO_MANY)]
    mail = a_mail()
    mail.add_alternative('<p>Hello</p><img src="cid:l">', subtype="html")
    html = mail.get_payload()[1]
    html.add_related(picture(), maintype="image", subtype="png", cid="<l>")
    assert parse(mail.as_bytes()).files == []


def test_thirty_megabytes_keep_their_words() -> None:
    mail = a_mail("See the film.")
    attach(mail, b"\xaa" * (22 * 2**20), "film.mp4", "video/mp4")
    raw = mail.as_bytes()
    assert len(raw) > 29 * 2**20
    parsed = parse(raw)
    assert parsed.text == "See the film."
    assert parsed.left_out == [("film.mp4", TOO_LARGE)]
    # Cut off in the middle, as a mailbox hands it out.
    assert parse(raw[: 10 * 2**20]).text == "See the film."


@pytest.mark.parametrize(
    "headers",
    [
        {"Auto_Submitted": "auto-replied"},
        {"Auto_Submitted": "auto-generated; x=y"},
        {"Precedence": "bulk"},
        {"Precedence": "Junk"},
        {"X_Auto_Response_Suppress": "All"},
        {"X_Autoreply": "yes"},
        {"Return_Path": "<>"},
        {"From": "MAILER-DAEMON@example.org"},
    ],
)
def test_machines_are_known(headers: dict[str, str]) -> None:
    assert parse(a_mail(**headers).as_bytes()).is_automatic


def test_people_are_people() -> None:
    for headers in ({}, {"Auto_Submitted": "no"}, {"Return_Path": "<ada@example.org>"}):
        parsed = parse(a_mail(**headers).as_bytes())
        assert not parsed.is_automatic
        assert parsed.sender == "ada@example.org"
        assert parsed.bounce is None


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\xff\xfe\x00",
        b"From: x\r\nContent-Type: multipart/mixed; boundary=B\r\n\r\n--B\r\nnever ended",
        b"From: x\r\nContent-Type: multipart/mixed\r\n\r\nno boundary",
        b"Content-Type: text/plain; charset*=utf-8''%E2%82\r\nFrom: =?utf-8?b?////?=\r\n\r\nx",
        b"Content-Transfer-Encoding: base64\r\n\r\n!!!!",
        b"Content-Disposition: attachment; filename*0*=utf-8''%ff%fe\r\n\r\nx",
        b"From: <a@b\r\nTo: ((((,,,;;\r\nMessage-ID: <a b>\r\n\r\nx",
        (
            b"Content-Type: multipart/report; report-type=delivery-status; boundary=B\r\n\r\n"
            b"--B\r\nContent-Type: message/delivery-status\r\n\r\nnonsense\r\n--B--"
        ),
    ],
)
def test_nothing_makes_it_fail(raw: bytes) -> None:
    parsed = parse(raw)
    assert parsed.bounce is None
    assert "\0" not in parsed.text
