"""Who belongs to a provider's staff: invited once, joined once, and an owner always left."""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from cnn_offset.domain.staff import StaffRole
from cnn_offset.extensions import db, unit_of_work
from cnn_offset.models import Event, Invitation, Message, Provider, Role, User
from cnn_offset.services import NotFoundError, ServiceError, joining, staffing
from tests.conftest import Clock
from tests.factories import NOW, make_provider

HASH = hashlib.sha256(b"link").hexdigest()


@pytest.fixture
def inside(any_app: Flask) -> Iterator[Flask]:
    """Two providers: the first has the owners a and b and c for sales, the second has z."""
    with any_app.app_context():
        first, second = make_provider(), make_provider()
        db.session.commit()
        add("a", first)
        add("b", first)
        add("c", first, StaffRole.SALES)
        add("z", second)
        yield any_app
        db.session.remove()


def add(name: str, provider: Provider | None = None, role: StaffRole = StaffRole.OWNER) -> None:
    """Add an account that nobody logs in to: hashing passwords takes time."""
    with unit_of_work() as session:
        user = User(
            email=f"{name}@example.org",
            active=True,
            fs_uniquifier=secrets.token_hex(32),
            confirmed_at=NOW,
            create_datetime=NOW,
            locale="en",
        )
        session.add(user)
        if provider is not None:
            user.provider_id, user.staff_role = provider.id, role
            staffing.become_staff(session, user)


def person(name: str) -> User:
    found = joining.find_user(db.session(), f"{name}@example.org")
    assert found is not None
    return found


def invite(clock: Clock, email: str = "new@example.org", token_hash: str = HASH) -> int:
    with unit_of_work() as session:
        return staffing.invite(
            session,
            person("a"),
            email,
            StaffRole.SALES,
            nonce="n",
            token_hash=token_hash,
            locale="fr",
            now=clock(),
        ).id


def mails() -> list[tuple[str, str]]:
    return [
        (kind, recipient)
        for kind, recipient in db.session.execute(
            select(Message.kind, Message.recipient).order_by(Message.id)
        )
    ]


def roles() -> dict[str, StaffRole | None]:
    db.session.rollback()
    return {
        user.email[0]: user.staff_role
        for user in db.session.scalars(select(User).where(User.provider_id.is_not(None)))
    }


def test_invited_and_joined(inside: Flask, clock: Clock) -> None:
    invite(clock)
    with unit_of_work() as session:
        user = joining.open_confirmed(session, "new@example.org", "hash", locale="fr", now=clock())
        provider = staffing.join(session, user, HASH, now=clock())
        assert provider.id == person("a").provider_id
    joined = person("new")
    assert joined.staff_role is StaffRole.SALES
    assert joined.has_role("provider")
    assert joined.confirmed_at == clock()
    assert mails() == [
        (staffing.INVITED, "new@example.org"),
        (staffing.JOINED, "a@example.org"),
    ]
    for _ in range(2):
        with pytest.raises(NotFoundError), unit_of_work() as session:
            staffing.join(session, session.get_one(User, joined.id), HASH, now=clock())


def test_an_invitation_ends(inside: Flask, clock: Clock) -> None:
    add("new")
    invite(clock)
    for later, open_ in ((timedelta(days=7), False), (timedelta(days=6, hours=23), True)):
        found = staffing.find_invitation(db.session(), HASH, now=clock() + later)
        assert (found is not None) is open_
    with pytest.raises(NotFoundError), unit_of_work() as session:
        staffing.join(session, person("new"), HASH, now=clock() + timedelta(days=8))
    assert person("new").provider_id is None


def test_a_new_invitation_replaces_the_old_one(inside: Flask, clock: Clock) -> None:
    other = hashlib.sha256(b"other").hexdigest()
    invite(clock)
    invite(clock, token_hash=other)
    assert staffing.find_invitation(db.session(), HASH, now=clock()) is None
    assert staffing.find_invitation(db.session(), other, now=clock()) is not None


def test_an_invitation_is_withdrawn(inside: Flask, clock: Clock) -> None:
    number = invite(clock)
    with pytest.raises(NotFoundError), unit_of_work() as session:
        staffing.withdraw_invitation(session, person("z"), number, now=clock())
    for _ in range(2):
        with unit_of_work() as session:
            staffing.withdraw_invitation(session, person("a"), number, now=clock())
    assert staffing.find_invitation(db.session(), HASH, now=clock()) is None
    whys = list(db.session.scalars(select(Event.why).where(Event.subject == "invitation")))
    assert whys.count("invitation withdrawn") == 1


def test_nobody_else_follows_a_link(inside: Flask, clock: Clock) -> None:
    add("other")
    invite(clock)
    with pytest.raises(NotFoundError), unit_of_work() as session:
        staffing.join(session, person("other"), HASH, now=clock())


@pytest.mark.parametrize("who", ["z@example.org", "operator@example.org"])
def test_those_of_others_are_refused_kindly(inside: Flask, clock: Clock, who: str) -> None:
    add("operator")
    with unit_of_work() as session:
        operator = person("operator")
        operator.roles.append(Role(name="operator"))
    invite(clock, who)
    with pytest.raises(ServiceError, match="another organisation"), unit_of_work() as session:
        staffing.join(session, person(who.split("@")[0]), HASH, now=clock())
    assert staffing.find_invitation(db.session(), HASH, now=clock()) is not None


def test_who_belongs_already_is_not_invited(inside: Flask, clock: Clock) -> None:
    with pytest.raises(ServiceError, match="already"):
        invite(clock, "c@example.org")


def test_not_more_people_than_can_be_shown(
    inside: Flask, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staffing, "MOST_STAFF", 4)
    invite(clock)
    with pytest.raises(ServiceError, match="at most"):
        invite(clock, "more@example.org", hashlib.sha256(b"more").hexdigest())
    # The one that is open is replaced, which makes it no more.
    invite(clock, token_hash=hashlib.sha256(b"again").hexdigest())


def test_a_confirmed_account_is_never_taken_over(inside: Flask, clock: Clock) -> None:
    with pytest.raises(NotFoundError), unit_of_work() as session:
        joining.open_confirmed(session, "z@example.org", "hash", locale="en", now=clock())
    assert person("z").password is None


def test_an_unconfirmed_account_gets_its_owner(inside: Flask, clock: Clock) -> None:
    with unit_of_work() as session:
        joining.register(session, "new@example.org", "strangers", locale="en", now=clock())
    sessions = person("new").fs_uniquifier
    with unit_of_work() as session:
        joining.open_confirmed(session, "new@example.org", "owners", locale="en", now=clock())
    found = person("new")
    assert found.password == "owners"
    assert found.fs_uniquifier != sessions
    assert found.confirmed_at is not None


def test_a_role_is_changed(inside: Flask, clock: Clock) -> None:
    user_id = person("c").id
    for _ in range(2):
        with unit_of_work() as session:
            staffing.change_role(session, person("a"), user_id, StaffRole.ACCOUNTS, now=clock())
    assert person("c").staff_role is StaffRole.ACCOUNTS
    assert mails() == [(staffing.CHANGED, "c@example.org")]


def test_somebody_is_removed(inside: Flask, clock: Clock) -> None:
    user = person("c")
    user_id, sessions = user.id, user.fs_uniquifier
    with unit_of_work() as session:
        staffing.remove(session, person("a"), user_id, now=clock())
    gone = person("c")
    assert (gone.provider_id, gone.staff_role) == (None, None)
    assert not gone.has_role("provider")
    assert gone.fs_uniquifier != sessions
    assert mails() == [(staffing.REMOVED, "c@example.org")]
    with pytest.raises(NotFoundError), unit_of_work() as session:
        staffing.remove(session, person("a"), user_id, now=clock())


def test_only_owners_of_the_same_provider_may(inside: Flask, clock: Clock) -> None:
    a = person("a").id
    for who in "cz":
        for act in (
            lambda session, actor: staffing.remove(session, actor, a, now=clock()),
            lambda session, actor: staffing.change_role(
                session, actor, a, StaffRole.SALES, now=clock()
            ),
        ):
            with pytest.raises(NotFoundError), unit_of_work() as session:
                act(session, person(who))
    assert roles() == {"a": "owner", "b": "owner", "c": "sales", "z": "owner"}


def test_the_last_owner_stays(inside: Flask, clock: Clock) -> None:
    with unit_of_work() as session:
        staffing.remove(session, person("a"), person("b").id, now=clock())
    for act in (
        lambda session, a: staffing.remove(session, a, a.id, now=clock()),
        lambda session, a: staffing.change_role(session, a, a.id, StaffRole.SALES, now=clock()),
    ):
        with pytest.raises(ServiceError, match="needs an owner"), unit_of_work() as session:
            act(session, person("a"))
    with unit_of_work() as session:
        staffing.change_role(session, person("a"), person("c").id, StaffRole.OWNER, now=clock())
    with unit_of_work() as session:
        staffing.remove(session, person("a"), person("a").id, now=clock())
    assert roles() == {"c": "owner", "z": "owner"}


@pytest.mark.parametrize("how", ["remove", "demote", "leave"])
def test_two_owners_at_once_leave_one(inside: Flask, clock: Clock, how: str) -> None:
    """Each removes or demotes the other, or leaves, at the same moment."""
    app = inside
    ids = {name: person(name).id for name in "ab"}
    db.session.remove()
    start, outcomes = threading.Barrier(2), []

    def act(me: str, other: str) -> None:
        with app.app_context():
            try:
                start.wait(5)
                with unit_of_work() as session:
                    actor = session.get_one(User, ids[me])
                    if how == "demote":
                        staffing.change_role(
                            session, actor, ids[other], StaffRole.SALES, now=clock()
                        )
                    else:
                        target = ids[other if how == "remove" else me]
                        staffing.remove(session, actor, target, now=clock())
                outcomes.append("done")
            except (NotFoundError, ServiceError) as error:
                outcomes.append(type(error).__name__)
            finally:
                db.session.remove()

    threads = [threading.Thread(target=act, args=pair) for pair in (("a", "b"), ("b", "a"))]
    for each in threads:
        each.start()
    for each in threads:
        each.join(20)
    assert outcomes.count("done") == 1, outcomes
    assert [name for name, role in roles().items() if role == "owner" and name in "ab"] != []


def test_two_follow_one_invitation(inside: Flask, clock: Clock) -> None:
    """The same link opened twice at the same moment joins once."""
    app = inside
    add("new")
    invite(clock)
    user_id = person("new").id
    db.session.remove()
    start, outcomes = threading.Barrier(2), []

    def act() -> None:
        with app.app_context():
            try:
                start.wait(5)
                with unit_of_work() as session:
                    staffing.join(session, session.get_one(User, user_id), HASH, now=clock())
                outcomes.append("done")
            except (NotFoundError, ServiceError):
                outcomes.append("refused")
            finally:
                db.session.remove()

    threads = [threading.Thread(target=act) for _ in range(2)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(20)
    assert sorted(outcomes) == ["done", "refused"]
    assert db.session.scalars(select(Invitation)).one().accepted_at == clock()
    assert mails().count((staffing.JOINED, "a@example.org")) == 1
