"""Deliveries from processors: believed or refused, stored once, acted on later."""

from __future__ import annotations

import hmac
import logging

from flask import Blueprint, abort, request
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import IntegrityError

from cnn_offset.extensions import csrf, platform, unit_of_work
from cnn_offset.guards import guarded, public
from cnn_offset.mail.incoming import LARGEST_MAIL
from cnn_offset.mail.receiving import take_mail
from cnn_offset.plugins.errors import ForgedError, PluginError
from cnn_offset.plugins.payments.base import Delivery, ProcessorPlugin
from cnn_offset.services import deliveries

bp = guarded(Blueprint("hooks", __name__), public)
# A processor has no session; its signature takes the token's place.
csrf.exempt(bp)
log = logging.getLogger(__name__)
LARGEST = 64 * 1024
"""Bytes of a delivery; the processors' own are a few thousand."""


@bp.post("/hooks/mail")
def receive_mail() -> ResponseReturnValue:
    """Keep a mail that a mail server hands on as it came (RFC 5322), if the server is ours.

    The answer is the same whether anybody here is written to.
    """
    here = platform()
    token = here.settings.INCOMING_MAIL_TOKEN
    if not token:
        abort(404)
    said = request.headers.get("Authorization", "").removeprefix("Bearer ")
    if not hmac.compare_digest(said.encode(), token.encode()):
        log.warning("a mail was posted without the token")
        return "", 401
    request.max_content_length = LARGEST_MAIL
    take_mail(here, request.get_data())
    return "", 200


@bp.post("/hooks/<method_id>")
def receive(method_id: str) -> ResponseReturnValue:
    """Store a delivery whose sender is believed, and do nothing else.

    200 is said only after the commit, so that the processor repeats what was not stored.
    """
    here = platform()
    plugin = here.payments.get(method_id)
    if not isinstance(plugin, ProcessorPlugin) or not plugin.has_webhook:
        abort(404)
    request.max_content_length = LARGEST
    body = request.get_data()
    now = here.clock()
    headers = {name.lower(): value for name, value in request.headers.items()}
    try:
        notice = plugin.read_webhook(Delivery(headers, body, now))
        text = body.decode()
    except (ForgedError, UnicodeDecodeError) as error:
        log.warning("webhook for %s refused: %s", method_id, type(error).__name__)
        return "", 400
    except PluginError as error:
        log.warning("webhook for %s not checked: %s", method_id, error)
        return "", 503
    if "\0" in text or not 0 < len(notice.event_id) <= 255:
        return "", 400
    try:
        with unit_of_work() as session:
            deliveries.store_delivery(session, method_id, notice, text, now=now)
    except IntegrityError:
        # The same event came twice at the same moment; the other one is stored.
        pass
    return "", 200
