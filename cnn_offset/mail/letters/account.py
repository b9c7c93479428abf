"""Mails about accounts.

A link that opens an account is made here and stored nowhere; its hours count from now.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from flask_babel import gettext, ngettext
from flask_security.confirmable import generate_confirmation_token
from flask_security.recoverable import generate_reset_password_token
from sqlalchemy.orm import Session

from cnn_offset.accounts import LINK_HOURS
from cnn_offset.extensions import public_url
from cnn_offset.mail.letters.letter import Letter, Writer
from cnn_offset.models import Message, User
from cnn_offset.services import factors, joining


def _account(session: Session, message: Message) -> Letter:
    about, lang = message.params["about"], message.locale
    user = session.get(User, message.params["user_id"] or 0)
    if user is None or about == joining.UNKNOWN:
        return _unknown(lang)
    if about == joining.CONFIRM:
        return Letter(
            gettext("Please confirm your e-mail address"),
            [
                gettext("Somebody, probably you, opened an account with this address."),
                gettext(
                    "Follow the link within %(hours)s hours and enter your password. "
                    "If it was not you, do nothing: without the password nobody gets in.",
                    hours=LINK_HOURS["confirm"],
                ),
            ],
            link=(
                gettext("Confirm my address"),
                public_url(
                    "security.confirm",
                    lang=lang,
                    token=generate_confirmation_token(user),  # type: ignore[no-untyped-call]
                ),
            ),
        )
    if about == joining.CHANGED:
        return Letter(
            gettext("Your password was changed"),
            [
                gettext("The password of your account was changed and every session was ended."),
                gettext("If it was not you, choose a new password at once and write to us."),
            ],
            link=(gettext("Choose a new password"), public_url("security.forgot", lang=lang)),
        )
    if about in (joining.RESET, joining.EXISTS):
        return _password(about, user, lang)
    return _factor(about, message, lang)


def _password(about: str, user: User, lang: str) -> Letter:
    asked = about == joining.RESET
    return Letter(
        gettext("Choose a new password") if asked else gettext("You have an account already"),
        [
            gettext("Somebody, probably you, asked for a new password.")
            if asked
            else gettext(
                "Somebody, probably you, wanted to open an account with this address, "
                "but you have one already. Nothing was changed."
            ),
            gettext(
                "The link works once and for one hour. "
                "If you did not ask for it, do nothing: your password stays as it is."
            ),
        ],
        link=(
            gettext("Choose a new password"),
            public_url(
                "security.reset",
                lang=lang,
                token=generate_reset_password_token(user),  # type: ignore[no-untyped-call]
            ),
        ),
    )


def _unknown(lang: str) -> Letter:
    return Letter(
        gettext("No account with this address"),
        [
            gettext(
                "Somebody, probably you, asked for a new password, but no account has this "
                "address. Perhaps you used another one."
            ),
            gettext(
                "You can buy without an account: the page “Find my order” sends you the "
                "links of your orders."
            ),
        ],
        link=(gettext("Find my order or attestation"), public_url("orders.lost", lang=lang)),
    )


def _factor(about: str, message: Message, lang: str) -> Letter:
    """Write that something about the second factor was changed or used."""
    what, left = message.params["what"], message.params["left"]
    if about == factors.ADDED:
        subject = gettext("A second factor was added to your account")
        said = (
            gettext("An authenticator app was set up for your account.")
            if what == factors.APP
            else gettext("The passkey “%(name)s” was added to your account.", name=what)
        )
    elif about == factors.RECOVERED:
        subject = gettext("A recovery code of your account was used")
        said = ngettext(
            "Somebody proved to be you by a recovery code. %(num)s unused code is left.",
            "Somebody proved to be you by a recovery code. %(num)s unused codes are left.",
            left,
        )
    elif about == factors.RENEWED:
        subject = gettext("Your account has new recovery codes")
        said = gettext("New recovery codes were made. The old ones count no more.")
    else:
        subject = gettext("A second factor was removed from your account")
        said = (
            gettext("The authenticator app was removed from your account.")
            if what == factors.APP
            else gettext("The passkey “%(name)s” was removed from your account.", name=what)
            if what
            else gettext("The second factor was turned off: your password alone opens the account.")
        )
    return Letter(
        subject,
        [
            said,
            gettext("If it was not you, choose a new password at once and write to us."),
        ],
        link=(gettext("Look at your account"), public_url("account.second_factor", lang=lang)),
    )


LETTERS: Final[Mapping[str, Writer]] = {"account": _account}
