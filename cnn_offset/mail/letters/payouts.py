"""Mails about how a provider is paid."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from flask import current_app
from flask_babel import gettext
from itsdangerous import BadSignature, URLSafeSerializer
from sqlalchemy.orm import Session

from cnn_offset.extensions import platform, public_url
from cnn_offset.i18n import language, moment_text
from cnn_offset.mail.letters.letter import Letter, Link, Writer
from cnn_offset.models import Message, PayoutMethod


def _stopper() -> URLSafeSerializer:
    return URLSafeSerializer(current_app.secret_key or "", salt="stop a change of bank details")


def stop_token(payout_id: int, next_from: datetime) -> str:
    """Return what lets whoever has the mail stop this change, and no other."""
    return str(_stopper().dumps([payout_id, next_from.isoformat()]))


def read_stop_token(token: str) -> tuple[int, datetime] | None:
    """Return which change a token stops; None if we did not make it."""
    try:
        payout_id, next_from = _stopper().loads(token)
        return int(payout_id), datetime.fromisoformat(next_from)
    except (BadSignature, TypeError, ValueError):
        return None


def _method(message: Message) -> str:
    method_id = message.params["method_id"]
    return str(gettext(platform().method_titles.get(method_id, str(method_id))))


def _page() -> Link:
    return gettext("See how you are paid"), public_url("provider.payouts", lang=language())


def _hint(text: str) -> str:
    return text or gettext("You send them to each purchaser yourselves")


def _payout_ready(_session: Session, message: Message) -> Letter:
    method = _method(message)
    return Letter(
        gettext("%(method)s is ready", method=method),
        [
            gettext(
                "We have tested it: from now on purchasers can pay you by this method. We test "
                "it again each day and tell you if something is wrong."
            )
        ],
        [(gettext("Method"), method)],
        link=_page(),
    )


def _payout_stopped(session: Session, message: Message) -> Letter:
    method = _method(message)
    row = session.get_one(PayoutMethod, message.params["payout_id"])
    return Letter(
        gettext("%(method)s cannot take money now", method=method),
        [
            gettext(
                "A test has found that you cannot be paid by this method at present, so it is "
                "not offered to purchasers. Money that was paid before is not affected."
            ),
            *(gettext(each) for each in row.todo),
        ],
        [(gettext("Method"), method)],
        link=_page(),
    )


def _payout_account_changed(_session: Session, message: Message) -> Letter:
    method = _method(message)
    return Letter(
        gettext("Your account was changed: %(method)s", method=method),
        [
            gettext(
                "%(who)s has changed or ended the account that purchasers pay you on. Orders "
                "whose payment was begun before go on with the account they began with.",
                who=message.params["by"],
            ),
            gettext(
                "If this was not you, please look at once, end what you do not know, and write "
                "to us."
            ),
        ],
        [(gettext("Method"), method)],
        link=_page(),
    )


def _bank_asked(session: Session, message: Message) -> Letter:
    row = session.get_one(PayoutMethod, message.params["payout_id"])
    return Letter(
        gettext("%(provider)s asks for bank transfer", provider=row.provider.name),
        [gettext("Please compare the details, then enable it or refuse it with a reason.")],
        [(gettext("Provider"), row.provider.name)],
        link=(gettext("See the request"), public_url("admin.payouts", lang=language())),
    )


def _bank_refused(_session: Session, message: Message) -> Letter:
    return Letter(
        gettext("Bank transfer was not enabled"),
        [
            gettext("We could not enable bank transfer for you. The reason:"),
            message.params["reason"],
            gettext("You can correct the details and ask again."),
        ],
        link=_page(),
    )


def _bank_changing(_session: Session, message: Message) -> Letter:
    params = message.params
    moment = datetime.fromisoformat(params["next_from"])
    token = stop_token(params["payout_id"], moment)
    return Letter(
        gettext("Your bank details are about to change"),
        [
            gettext(
                "%(who)s has entered other bank details. They hold from %(moment)s on; until "
                "then purchasers are shown the present ones.",
                who=params["by"],
                moment=moment_text(moment, language()),
            ),
            gettext(
                "If this was not you or one of your staff, stop it with the button below. You "
                "need not sign in. Then change your password and write to us."
            ),
        ],
        [
            (gettext("Present account"), _hint(params["old"])),
            (gettext("New account"), _hint(params["new"])),
        ],
        link=(
            gettext("This was not me: stop it"),
            public_url("warned.stop", lang=language(), token=token),
        ),
        links=[_page()],
    )


def _bank_change_stopped(_session: Session, message: Message) -> Letter:
    return Letter(
        gettext("Your bank details stay as they are"),
        [
            gettext(
                "The change was stopped by %(who)s. Purchasers go on being shown the present "
                "details.",
                who=message.params["by"] or gettext("somebody with the link in our mail"),
            )
        ],
        link=_page(),
    )


def _bank_changed(_session: Session, message: Message) -> Letter:
    return Letter(
        gettext("Your new bank details hold"),
        [
            gettext(
                "From now on purchasers are shown them. Orders placed before keep the details "
                "they were placed with, so money may still arrive on the old account."
            )
        ],
        [(gettext("New account"), _hint(message.params["new"]))],
        link=_page(),
    )


LETTERS: Final[Mapping[str, Writer]] = {
    "bank_asked": _bank_asked,
    "bank_change_stopped": _bank_change_stopped,
    "bank_changed": _bank_changed,
    "bank_changing": _bank_changing,
    "bank_refused": _bank_refused,
    "payout_account_changed": _payout_account_changed,
    "payout_ready": _payout_ready,
    "payout_stopped": _payout_stopped,
}
