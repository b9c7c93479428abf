"""Mails about the operators' desk, and about accounts that were given up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from flask_babel import gettext
from sqlalchemy.orm import Session

from cnn_offset.domain.staff import OperatorRole
from cnn_offset.extensions import public_url
from cnn_offset.i18n import moment_text, status_text
from cnn_offset.invitations import token_of
from cnn_offset.mail.letters.letter import Letter, Writer
from cnn_offset.models import Invitation, Message
from cnn_offset.services import closing, operating


def _role(message: Message) -> str:
    return status_text(OperatorRole(message.params["role"]))


def _invited(session: Session, message: Message) -> Letter:
    invitation = session.get_one(Invitation, message.params["invitation_id"])
    token = token_of(message.params["nonce"])
    return Letter(
        gettext("Invitation to the operators’ desk"),
        [
            gettext(
                "%(email)s invites you to run this platform with them.",
                email=invitation.invited_by,
            ),
            gettext(
                "Follow the link until %(moment)s and log in with this address, or open an "
                "account for it there. The link works once, and for nobody else’s account.",
                moment=moment_text(invitation.expires_at, message.locale),
            ),
            gettext(
                "You will be asked to set up a second factor: an authenticator app or a passkey."
            ),
        ],
        [(gettext("Role"), status_text(OperatorRole(invitation.operator_role or "")))],
        link=(
            gettext("See the invitation"),
            public_url("security.invitation", lang=message.locale, token=token),
        ),
        closing=[gettext("If you do not know them, do nothing.")],
    )


def _joined(session: Session, message: Message) -> Letter:
    return Letter(
        gettext("%(email)s has joined the operators’ desk", email=message.params["email"]),
        [gettext("Your invitation was accepted.")],
        [(gettext("Role"), _role(message))],
        link=(gettext("See the operators"), public_url("admin.people", lang=message.locale)),
    )


def _changed(session: Session, message: Message) -> Letter:
    return Letter(
        gettext("Your role at the operators’ desk has changed"),
        [gettext("It holds at once. If you wonder why, please ask a head of the desk.")],
        [(gettext("Role"), _role(message))],
    )


def _removed(session: Session, message: Message) -> Letter:
    return Letter(
        gettext("You belong to the operators’ desk no more"),
        [
            gettext("Your sessions were ended. The account stays, for your own orders."),
            gettext("If you wonder why, please ask a head of the desk."),
        ],
    )


def _closed(session: Session, message: Message) -> Letter:
    return Letter(
        gettext("Your account is closed"),
        [
            gettext("You closed your account. Nobody can log in to it any more."),
            gettext(
                "Your orders go on, and your attestations stay valid: the private links in "
                "our mails lead to them as before."
            ),
            gettext("If it was not you, please write to us at once."),
        ],
        link=(
            gettext("Find my order or attestation"),
            public_url("orders.lost", lang=message.locale),
        ),
    )


LETTERS: Final[Mapping[str, Writer]] = {
    operating.INVITED: _invited,
    operating.JOINED: _joined,
    operating.CHANGED: _changed,
    operating.REMOVED: _removed,
    closing.CLOSED: _closed,
}
