"""Mails about a provider's staff: invitations, changes of who may do what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from flask_babel import gettext
from sqlalchemy.orm import Session

from cnn_offset.domain.staff import StaffRole
from cnn_offset.extensions import public_url
from cnn_offset.i18n import moment_text, status_text
from cnn_offset.invitations import token_of
from cnn_offset.mail.letters.letter import Letter, Writer
from cnn_offset.models import Invitation, Message, Provider
from cnn_offset.services import staffing


def _provider(session: Session, message: Message) -> str:
    return session.get_one(Provider, message.params["provider_id"]).name


def _role(message: Message) -> str:
    return status_text(StaffRole(message.params["role"]))


def _invited(session: Session, message: Message) -> Letter:
    invitation = session.get_one(Invitation, message.params["invitation_id"])
    token = token_of(message.params["nonce"])
    provider = session.get_one(Provider, invitation.provider_id).name
    return Letter(
        gettext("Invitation to the staff of %(provider)s", provider=provider),
        [
            gettext(
                "%(email)s invites you to the staff of %(provider)s on this platform.",
                email=invitation.invited_by,
                provider=provider,
            ),
            gettext(
                "Follow the link until %(moment)s and log in with this address, or open an "
                "account for it there. The link works once, and for nobody else’s account.",
                moment=moment_text(invitation.expires_at, message.locale),
            ),
        ],
        [(gettext("Role"), status_text(StaffRole(invitation.role or "")))],
        link=(
            gettext("See the invitation"),
            public_url("security.invitation", lang=message.locale, token=token),
        ),
        closing=[gettext("If you do not know them, do nothing.")],
    )


def _joined(session: Session, message: Message) -> Letter:
    return Letter(
        gettext("%(email)s has joined your staff", email=message.params["email"]),
        [
            gettext(
                "%(email)s has followed your invitation and belongs to the staff of "
                "%(provider)s now.",
                email=message.params["email"],
                provider=_provider(session, message),
            )
        ],
        [(gettext("Role"), _role(message))],
        link=(gettext("See the staff"), public_url("provider.staff", lang=message.locale)),
    )


def _changed(session: Session, message: Message) -> Letter:
    provider = _provider(session, message)
    return Letter(
        gettext("Your role at %(provider)s was changed", provider=provider),
        [gettext("An owner of %(provider)s has given you another role.", provider=provider)],
        [(gettext("Role"), _role(message))],
        link=(gettext("See the staff"), public_url("provider.staff", lang=message.locale)),
    )


def _removed(session: Session, message: Message) -> Letter:
    provider = _provider(session, message)
    return Letter(
        gettext("You belong to the staff of %(provider)s no more", provider=provider),
        [
            gettext(
                "An owner of %(provider)s has removed you from its staff. Your account stays, "
                "for your own orders; every session was ended.",
                provider=provider,
            ),
            gettext("If you think this is a mistake, please ask the owner."),
        ],
        link=(gettext("Your account"), public_url("account.home", lang=message.locale)),
    )


LETTERS: Final[Mapping[str, Writer]] = {
    staffing.CHANGED: _changed,
    staffing.INVITED: _invited,
    staffing.JOINED: _joined,
    staffing.REMOVED: _removed,
}
