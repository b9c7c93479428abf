"""A mailbox: whatever is posted to it can be read, and nothing leaves."""

from __future__ import annotations

import base64
from email import message_from_bytes, policy
from email.message import EmailMessage, MIMEPart

from flask import Blueprint, Response, abort, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from .answering import answer_to, hand_over
from .faults import current_faults
from .state import Document, current_state

bp = Blueprint("mailbox", __name__)


@bp.post("/mailbox/messages")
def receive() -> ResponseReturnValue:
    """Store one mail, sent as raw bytes (RFC 5322)."""
    if current_faults().strikes("mail", "refuse", "POST /mailbox/messages"):
        return jsonify(error="The mailbox refuses, because a fault is on."), 503
    raw = request.get_data()
    mail = _parsed(raw)
    if mail["To"] is None or mail["From"] is None:
        return jsonify(error="A mail needs From and To."), 400
    state = current_state()
    with state.transaction():
        key = str(state.number("mail"))
        summary: Document = {
            "id": key,
            "from": str(mail["From"]),
            "to": str(mail["To"]),
            "subject": str(mail["Subject"] or ""),
            "date": str(mail["Date"] or ""),
            "message_id": str(mail["Message-ID"] or ""),
            "attachments": [each.get_filename() or "?" for each in mail.iter_attachments()],
        }
        state.put("mail", key, summary)
        state.put("mail/raw", key, {"base64": base64.b64encode(raw).decode()})
    return jsonify(summary | {"url": url_for(".show", key=key)}), 201


@bp.get("/mailbox/messages")
def list_messages() -> ResponseReturnValue:
    """List the mails as JSON, oldest first; ``?to=`` filters by part of the address."""
    to = request.args.get("to", "").casefold()
    return jsonify(messages=[m for m in current_state().all("mail") if to in m["to"].casefold()])


@bp.get("/mailbox")
def show_all() -> str:
    """List the mails as a page, newest first."""
    return render_template("sandbox/mailbox.html", mails=current_state().all("mail")[::-1])


@bp.get("/mailbox/<key>")
def show(key: str) -> str:
    """Show one mail with its attachments."""
    mail = _parsed(_raw(key))
    text, html = mail.get_body(("plain",)), mail.get_body(("html",))
    return render_template(
        "sandbox/mail.html",
        mail=current_state().get("mail", key),
        headers=mail.items(),
        text=_content(text),
        has_html=html is not None,
    )


@bp.post("/mailbox/<key>/reply")
def reply(key: str) -> ResponseReturnValue:
    """Answer a mail, or send it back as undeliverable; the shop hears of it at once."""
    mail = _parsed(_raw(key))
    url = (current_state().get("control", "webhooks") or {}).get("mail")
    if url is None:
        return jsonify(error="Nobody has said where mails to the shop go."), 409
    text = request.form.get("text", "").strip() or "Thank you."
    try:
        hand_over(url, answer_to(mail, text, bounces="bounce" in request.form))
    except OSError as error:
        return jsonify(error=f"The shop does not take it: {error}"), 502
    return redirect(url_for(".show", key=key, answered="yes"), 303)


@bp.get("/mailbox/<key>/html")
def show_html(key: str) -> ResponseReturnValue:
    """Show a mail's HTML for a frame, where it can run and load nothing."""
    html = _parsed(_raw(key)).get_body(("html",))
    if html is None:
        abort(404)
    # Its links open beside the mailbox, as in a mail program.
    answer = Response('<base target="_blank">' + _content(html), mimetype="text/html")
    answer.headers["Content-Security-Policy"] = (
        "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    )
    return answer


@bp.get("/mailbox/<key>/raw")
def show_raw(key: str) -> ResponseReturnValue:
    """Return a mail as it came."""
    return Response(_raw(key), mimetype="text/plain")


@bp.get("/mailbox/<key>/attachments/<int:number>")
def download(key: str, number: int) -> ResponseReturnValue:
    """Download one attachment, counted from 0."""
    attachments = list(_parsed(_raw(key)).iter_attachments())
    if number >= len(attachments):
        abort(404)
    part = attachments[number]
    content = part.get_payload(decode=True)
    answer = Response(
        content if isinstance(content, bytes) else b"", mimetype=part.get_content_type()
    )
    answer.headers.set(
        "Content-Disposition", "attachment", filename=part.get_filename() or "attachment"
    )
    answer.headers["X-Content-Type-Options"] = "nosniff"
    return answer


def _raw(key: str) -> bytes:
    found = current_state().get("mail/raw", key)
    if found is None:
        abort(404)
    return base64.b64decode(found["base64"])


def _parsed(raw: bytes) -> EmailMessage:
    return message_from_bytes(raw, _class=EmailMessage, policy=policy.default)


def _content(part: MIMEPart | None) -> str:
    return "" if part is None else str(part.get_content())
