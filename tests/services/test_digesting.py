"""The daily mail to operators: once a day, to those it concerns, only if something waits."""

from __future__ import annotations

from flask import Flask
from flask_babel import force_locale
from sqlalchemy import select

from cnn_offset.domain.staff import OperatorRole
from cnn_offset.domain.status import PayoutStatus
from cnn_offset.extensions import db, platform, unit_of_work
from cnn_offset.mail.letters import write
from cnn_offset.models import Message
from cnn_offset.services.digesting import DIGEST, Waiting, mail_digest, waiting
from tests.conftest import Clock
from tests.factories import make_payout, make_provider
from tests.web.people import add_person


def mailed(clock: Clock) -> list[Message]:
    with unit_of_work() as session:
        due = mail_digest(session, platform().bank_methods, now=clock())
    assert due > clock()
    return list(db.session.scalars(select(Message).where(Message.kind == DIGEST)))


def test_one_mail_a_day(app: Flask, clock: Clock) -> None:
    for role in OperatorRole:
        add_person(app, f"{role}@example.org", "operator", operator_role=role)
    with app.test_request_context("/en/"):
        assert mailed(clock) == [], "nothing waits"
        make_payout(make_provider(), "bank_transfer", status=PayoutStatus.STARTED)
        # One at a processor waits for its provider, not for us.
        make_payout(make_provider(), "paypal", status=PayoutStatus.STARTED)
        db.session.commit()
        assert waiting(db.session(), platform().bank_methods) == Waiting(0, 0, 1)
        first = mailed(clock)
        assert {each.recipient for each in first} == {"head@example.org", "listing@example.org"}
        clock.tick(hours=3)
        assert len(mailed(clock)) == 2, "once a day"
        clock.tick(days=1)
        assert len(mailed(clock)) == 4
        for lang in ("en", "fr", "es"):
            with force_locale(lang):
                letter = write(db.session(), first[0])
            assert [value for _, value in letter.facts] == ["1"]
            assert next(url for _, url in letter.links).endswith("/operator/payouts")
