"""Project pages: drafts, pictures, review, and what the public sees of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event, select

from cnn_offset import mail
from cnn_offset.domain.status import ListingStatus
from cnn_offset.extensions import db, unit_of_work
from cnn_offset.models import (
    AccountActivity,
    Activity,
    Event,
    Listing,
    Message,
    Picture,
    Provider,
)
from cnn_offset.services import NotFoundError, ServiceError, describing, listing, reviewing
from tests.conftest import Clock
from tests.factories import make_activity, make_mapping, make_provider

L = ListingStatus
LANGS = ("en", "fr", "es")
ALT = {lang: f"A hill ({lang})" for lang in LANGS}
ACTOR = "staff@example.org"
OPERATOR = "op@example.org"


def typed(text: str = "New", **changes: str) -> dict[str, str]:
    """Return a form that is filled in."""
    form = {f"title-{lang}": f"{text} title {lang}" for lang in LANGS}
    form |= {f"description-{lang}": f"{text} words.\n\nMore ({lang})." for lang in LANGS}
    return {**form, "sd_report_url": "https://example.org/report", **changes}


class World:
    """Two providers of one activity, and a third one that has nothing to do with it."""

    def __init__(self, app: Flask, clock: Clock) -> None:
        self.app, self.clock = app, clock
        activity = make_activity()
        self.slug, self.activity_id = activity.slug, activity.id
        sun, wind, other = (make_provider(locale=lang) for lang in ("fr", "en", "es"))
        self.sun, self.wind, self.other = sun.id, wind.id, other.id
        for provider in (sun, wind):
            make_mapping(provider, activity)
        make_mapping(other)
        db.session.commit()

    @property
    def who(self) -> dict[str, Any]:
        return {"actor": ACTOR, "now": self.clock()}

    def begin(self, provider_id: int | None = None) -> int:
        with unit_of_work() as session:
            return listing.begin(session, provider_id or self.sun, self.slug, **self.who).id

    def write(self, listing_id: int, provider_id: int | None = None, **changes: Any) -> None:
        provider_id = provider_id or self.sun
        version = changes.pop("version", self.row(listing_id).version)
        texts = describing.clean_texts(typed(**changes))
        with unit_of_work() as session:
            listing.save_texts(session, provider_id, listing_id, texts, version=version, **self.who)

    def add(self, listing_id: int, name: str = "a", provider_id: int | None = None) -> int:
        with unit_of_work() as session:
            return listing.add_picture(
                session,
                provider_id or self.sun,
                listing_id,
                name=name * 32,
                widths=[400, 800],
                alt=ALT,
                **self.who,
            ).id

    def change(self, listing_id: int, picture_id: int, **changes: Any) -> None:
        with unit_of_work() as session:
            listing.change_picture(session, self.sun, listing_id, picture_id, **changes, **self.who)

    def submit(self, listing_id: int, provider_id: int | None = None) -> int:
        with unit_of_work() as session:
            return listing.submit(session, provider_id or self.sun, listing_id, **self.who).version

    def handed_in(
        self, text: str = "New", name: str = "a", provider_id: int | None = None
    ) -> tuple[int, int]:
        """Return id and version of a listing that waits for review."""
        listing_id = self.begin(provider_id)
        self.write(listing_id, provider_id, text=text)
        self.add(listing_id, name, provider_id)
        return listing_id, self.submit(listing_id, provider_id)

    def approve(self, listing_id: int, version: int) -> None:
        with unit_of_work() as session:
            reviewing.approve(
                session, listing_id, version=version, actor=OPERATOR, now=self.clock()
            )

    def refuse(self, listing_id: int, version: int, reason: str = "Too short.") -> None:
        with unit_of_work() as session:
            reviewing.refuse(
                session, listing_id, version=version, reason=reason, actor=OPERATOR,
                now=self.clock(),
            )  # fmt: skip

    def row(self, listing_id: int) -> Listing:
        db.session.rollback()
        return db.session.get_one(Listing, listing_id)

    def activity(self) -> Activity:
        db.session.rollback()
        return db.session.get_one(Activity, self.activity_id)

    def statuses(self) -> list[ListingStatus]:
        db.session.rollback()
        return list(db.session.scalars(select(Listing.status).order_by(Listing.id)))

    def public(self, name: str) -> bool:
        db.session.rollback()
        return listing.is_public(db.session(), f"pictures/{name * 32}-400.webp")


@contextmanager
def statements() -> Iterator[list[str]]:
    """Note what the database is asked."""
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        seen.append(statement)

    event.listen(db.engine, "before_cursor_execute", note)
    yield seen
    event.remove(db.engine, "before_cursor_execute", note)


@pytest.fixture
def world(any_app: Flask, clock: Clock) -> Iterator[World]:
    with any_app.test_request_context():
        yield World(any_app, clock)
        db.session.remove()


def test_from_draft_to_the_public(world: World) -> None:
    before = dict(world.activity().title)
    first = world.begin()
    assert world.begin() == first, "there is one draft at most"
    assert world.row(first).title == before, "it begins as a copy of what is public"
    world.write(first)
    world.add(first)
    assert world.activity().title == before
    assert not world.public("a")
    version = world.submit(first)
    assert world.activity().title == before
    assert [each.id for each in reviewing.queue(db.session())] == [first]
    world.clock.tick(hours=1)
    world.approve(first, version)

    activity = world.activity()
    assert activity.title == {lang: f"New title {lang}" for lang in LANGS}
    assert activity.description["fr"] == "New words.\n\nMore (fr)."
    assert activity.sd_report_url == "https://example.org/report"
    assert activity.picture == f"pictures/{'a' * 32}-800.webp"
    assert activity.picture_alt == ALT
    assert activity.changed_at == world.clock(), "the catalogue sees that it changed"
    assert world.public("a")
    row = world.row(first)
    assert (row.status, row.decided_by, row.decided_at) == (L.APPROVED, OPERATOR, world.clock())
    mails = db.session.scalars(select(Message)).all()
    assert [(each.kind, each.locale) for each in mails] == [("listing_approved", "fr")]
    assert reviewing.queue(db.session()) == []


def test_the_public_keeps_the_old_version_until_the_next_is_approved(world: World) -> None:
    world.approve(*world.handed_in("First", "a"))
    second = world.begin()
    assert [each.path for each in world.row(second).pictures] == [f"pictures/{'a' * 32}-800.webp"]
    world.write(second, text="Second")
    own = world.row(second).pictures[0].id
    world.add(second, "b")
    world.change(second, own, remove=True)
    version = world.submit(second)
    assert world.activity().title["en"] == "First title en"
    assert (world.public("a"), world.public("b")) == (True, False)
    world.approve(second, version)
    assert world.statuses() == [L.REPLACED, L.APPROVED]
    assert world.activity().title["en"] == "Second title en"
    assert (world.public("a"), world.public("b")) == (False, True)


def test_refused_with_a_reason_then_changed_and_approved(world: World) -> None:
    first, version = world.handed_in()
    for reason in ("", " \u200b\n", "x" * 2001):
        with pytest.raises(reviewing.ReasonError):
            world.refuse(first, version, reason)
    world.refuse(first, version, "The wells are missing.\r\nPlease add them.")
    row = world.row(first)
    assert (row.status, row.reason) == (L.REFUSED, "The wells are missing.\nPlease add them.")
    mail = db.session.scalars(select(Message)).one()
    assert mail.kind == "listing_refused"
    assert mail.params["reason"] == row.reason
    assert not world.public("a")
    with pytest.raises(ServiceError, match="does not wait"):
        world.approve(first, version)
    assert world.begin() == first, "the same version is worked on"
    world.write(first, text="Better")
    assert world.row(first).status is L.DRAFT
    world.approve(first, world.submit(first))
    assert world.row(first).reason == ""
    assert world.activity().title["en"] == "Better title en"


def test_another_providers_version_takes_the_place(world: World) -> None:
    world.approve(*world.handed_in("Sun", "a"))
    theirs, version = world.handed_in("Wind", "b", world.wind)
    assert world.row(theirs).number == 1
    world.approve(theirs, version)
    assert world.statuses() == [L.REPLACED, L.APPROVED]
    mine = world.begin()
    assert world.row(mine).title["en"] == "Wind title en"
    assert world.row(mine).number == 2


def test_what_waits_or_is_decided_stays_as_it_is(world: World) -> None:
    first, version = world.handed_in()
    picture = world.row(first).pictures[0].id
    acts: list[Callable[[], Any]] = [
        lambda: world.write(first),
        lambda: world.add(first),
        lambda: world.change(first, picture, remove=True),
        lambda: world.change(first, picture, alt=ALT),
    ]
    for act in acts:
        with pytest.raises(ServiceError, match="waits for review"):
            act()
    with pytest.raises(ServiceError, match="waits for review"):
        world.begin()
    assert world.submit(first) == version, "safe to repeat"
    world.approve(first, version)
    world.approve(first, version)
    for act in [*acts, lambda: world.submit(first)]:
        with pytest.raises(ServiceError, match="decided on"):
            act()
    with pytest.raises(ServiceError, match="decided on"), unit_of_work() as session:
        listing.take_back(session, world.sun, first, **world.who)
    with pytest.raises(ServiceError, match="does not wait"):
        world.refuse(first, version)
    assert world.statuses() == [L.APPROVED]


def test_nobody_approves_what_nobody_has_seen(world: World) -> None:
    first, seen = world.handed_in()
    with unit_of_work() as session:
        listing.take_back(session, world.sun, first, **world.who)
    with pytest.raises(NotFoundError):
        reviewing.reviewed(db.session(), first)
    with pytest.raises(NotFoundError):
        world.approve(first, seen)
    # Only a picture is exchanged: the texts are not even saved again.
    world.add(first, "b")
    now = world.submit(first)
    with pytest.raises(ServiceError, match="since you opened it"):
        world.approve(first, seen)
    with pytest.raises(ServiceError, match="since you opened it"):
        world.refuse(first, seen)
    world.approve(first, now)


def test_who_may_no_longer_write_of_it_is_not_approved(world: World) -> None:
    first, version = world.handed_in()
    with unit_of_work() as session:
        for each in session.scalars(
            select(AccountActivity).where(AccountActivity.activity_id == world.activity_id)
        ):
            session.delete(each)
    with pytest.raises(ServiceError, match="no longer mapped"):
        world.approve(first, version)
    with pytest.raises(NotFoundError):
        listing.listing(db.session(), world.sun, first)


def test_two_of_the_staff_edit_one_version(world: World) -> None:
    first = world.begin()
    drawn = world.row(first).version
    world.write(first, text="Ada's", version=drawn)
    with pytest.raises(listing.StaleError) as caught:
        world.write(first, text="Ben's", version=drawn)
    assert caught.value.now.title["en"] == "Ada's title en"
    assert world.row(first).title["en"] == "Ada's title en"
    # A picture that comes in between is in nobody's way.
    drawn = world.row(first).version
    world.add(first)
    world.write(first, text="Ben's", version=drawn)
    assert world.row(first).title["en"] == "Ben's title en"


@pytest.mark.parametrize("field", ["title", "description", "labels", "picture"])
def test_what_is_missing_is_named(world: World, field: str) -> None:
    first = world.begin()
    changes = {} if field == "picture" else {f"{field}-fr": ""}
    if field == "labels":
        changes |= {"labels-en": "Gold Standard", "labels-es": "Gold Standard"}
    world.write(first, **changes)
    if field != "picture":
        world.add(first)
    lacks = describing.missing(world.row(first))
    assert len(lacks) == 1
    assert field.rstrip("s") in lacks[0]
    with pytest.raises(ServiceError, match="missing"):
        world.submit(first)
    assert world.statuses() == [L.DRAFT]


def test_a_text_that_was_long_before_the_rule_must_be_shortened(world: World) -> None:
    with unit_of_work() as session:
        session.get_one(Activity, world.activity_id).description = dict.fromkeys(
            LANGS, "word " * 501
        )
    first = world.begin()
    world.add(first)
    assert describing.missing(world.row(first)) == ["a shorter description"]


@pytest.mark.parametrize("field", ["title", "description", "labels", "alt"])
@pytest.mark.parametrize("lang", LANGS)
def test_limits_are_kept_to_the_letter(field: str, lang: str) -> None:
    name = f"{field}-{lang}"
    text, more = {
        "title": ("x" * 120, "x"),
        "description": ("l’eau-de-vie " * 500, "one"),
        "labels": ("x" * 300, "x"),
        "alt": ("x" * 150, "x"),
    }[field]
    clean: Callable[[Any], Any] = describing.clean_texts
    form = typed()
    if field == "alt":
        clean = describing.clean_alt
        form = {f"alt-{each}": "A hill" for each in LANGS}
    clean({**form, name: text})
    with pytest.raises(describing.InvalidError) as caught:
        clean({**form, name: text + more})
    assert list(caught.value.errors) == [name]
    error = caught.value.errors[name]
    limit = {"title": 120, "description": 500, "labels": 300, "alt": 150}[field]
    assert set(error.values.values()) == {limit, limit + 1}


def test_one_word_of_many_signs_is_too_long() -> None:
    with pytest.raises(describing.InvalidError):
        describing.clean_texts(typed(**{"description-en": "x" * 10_001}))


def test_a_report_needs_a_whole_address() -> None:
    for address in ("javascript:alert(1)", "example.org", "https://a:b@example.org/"):
        with pytest.raises(describing.InvalidError) as caught:
            describing.clean_texts(typed(sd_report_url=address))
        assert list(caught.value.errors) == ["sd_report_url"]
    assert describing.clean_texts(typed(sd_report_url=" ")).sd_report_url == ""


def test_each_picture_is_described_in_three_languages() -> None:
    with pytest.raises(describing.InvalidError) as caught:
        describing.clean_alt({"alt-en": "A hill", "alt-fr": " \u200b "})
    assert list(caught.value.errors) == ["alt-fr", "alt-es"]


def test_pictures_are_put_in_order_and_never_too_many(world: World) -> None:
    first = world.begin()
    ids = [world.add(first, name) for name in "abc"]

    def order() -> str:
        found = world.row(first).pictures
        assert [each.position for each in found] == list(range(1, len(found) + 1))
        return "".join(each.path.removeprefix("pictures/")[0] for each in found)

    world.change(first, ids[2], by=-1)
    assert order() == "acb"
    world.change(first, ids[2], by=-1)
    world.change(first, ids[2], by=-1)
    assert order() == "cab"
    world.change(first, ids[2], by=1)
    world.change(first, ids[1], by=1)
    assert order() == "acb"
    world.change(first, ids[0], remove=True)
    assert order() == "cb"
    with pytest.raises(NotFoundError):
        world.change(first, ids[0], remove=True)
    for name in "def012":
        world.add(first, name)
    with pytest.raises(ServiceError, match="8 pictures"):
        world.add(first)
    assert order() == "cbdef012"
    world.change(first, ids[1], alt=dict.fromkeys(LANGS, "Other"))
    assert world.row(first).pictures[1].alt["es"] == "Other"


def test_only_webp_of_approved_versions_is_public(world: World) -> None:
    session = db.session()
    assert listing.is_public(session, "pictures/drawing.svg")
    for path in ("pictures/x.webp", f"pictures/{'A' * 32}-400.webp", "pictures/../x.WEBP"):
        assert not listing.is_public(session, path)


def test_others_find_nothing(world: World) -> None:
    first, _version = world.handed_in()
    picture = world.row(first).pictures[0].id
    session = db.session()
    for stranger in (world.wind, world.other):
        with pytest.raises(NotFoundError):
            listing.listing(session, stranger, first)
        for act in (
            lambda stranger=stranger: world.write(first, stranger),
            lambda stranger=stranger: world.add(first, provider_id=stranger),
            lambda stranger=stranger: world.submit(first, stranger),
        ):
            with pytest.raises(NotFoundError):
                act()
        with pytest.raises(NotFoundError), unit_of_work() as writing:
            listing.change_picture(writing, stranger, first, picture, remove=True, **world.who)
        with pytest.raises(NotFoundError), unit_of_work() as writing:
            listing.take_back(writing, stranger, first, **world.who)
    with pytest.raises(NotFoundError):
        world.begin(world.other)
    with pytest.raises(NotFoundError):
        listing.page(db.session(), world.other, world.slug)
    with pytest.raises(NotFoundError):
        listing.page(db.session(), world.sun, "\0")
    assert [each.activity.slug for each in listing.pages(db.session(), world.sun)] == [world.slug]
    assert [each.activity.slug for each in listing.pages(db.session(), world.other)] != [world.slug]


def test_the_list_tells_where_each_page_stands(world: World) -> None:
    def stands(provider_id: int) -> tuple[Any, Any]:
        db.session.rollback()
        (page,) = listing.pages(db.session(), provider_id)
        return page.open and page.open.status, page.public and page.public.provider_id

    assert stands(world.sun) == (None, None)
    first, version = world.handed_in()
    assert stands(world.sun) == (L.SUBMITTED, None)
    assert stands(world.wind) == (None, None)
    world.approve(first, version)
    assert stands(world.sun) == (None, world.sun)
    assert stands(world.wind) == (None, world.sun)
    world.begin()
    assert stands(world.sun) == (L.DRAFT, world.sun)
    page = listing.page(db.session(), world.sun, world.slug)
    assert [each.number for each in listing.history(db.session(), world.sun, page.activity)] == [
        2,
        1,
    ]


def test_the_list_comes_in_pages_and_few_queries(world: World) -> None:
    sun = db.session.get_one(Provider, world.sun)
    for _ in range(30):
        make_mapping(sun)
    db.session.commit()
    with statements() as seen:
        found = listing.pages(db.session(), world.sun, limit=20)
    assert len([each for each in seen if each.startswith("SELECT")]) == 2
    rest = listing.pages(db.session(), world.sun, before=found[-1].activity.id, limit=20)
    assert (len(found), len(rest)) == (20, 11)
    assert not {each.activity.id for each in found} & {each.activity.id for each in rest}


def test_the_queue_comes_oldest_first_and_in_pages(world: World) -> None:
    first, _ = world.handed_in("Sun", "a")
    second, _ = world.handed_in("Wind", "b", world.wind)  # at the same moment
    queue = reviewing.queue
    assert [each.id for each in queue(db.session(), limit=1)] == [first]
    assert [each.id for each in queue(db.session(), after=first)] == [second]
    assert queue(db.session(), after=second) == []
    assert len(queue(db.session(), after=10**9)) == 2
    with unit_of_work() as session:
        listing.take_back(session, world.sun, first, **world.who)
    world.clock.tick(minutes=1)
    world.submit(first)
    assert [each.id for each in queue(db.session())] == [second, first]


def test_every_step_leaves_a_trace(world: World) -> None:
    first, version = world.handed_in()
    world.approve(first, version)
    db.session.rollback()
    events = db.session.scalars(
        select(Event).where(Event.subject == "listing").order_by(Event.id)
    ).all()
    assert [each.new for each in events] == [
        "draft", "texts saved", "picture added", "submitted", "approved",
    ]  # fmt: skip
    assert {each.actor for each in events} == {ACTOR, OPERATOR}


def at_once(world: World, *calls: Callable[[], Any]) -> list[Any]:
    db.session.rollback()
    gate = threading.Barrier(len(calls))

    def one(call: Callable[[], Any]) -> Any:
        with world.app.test_request_context():
            gate.wait()
            try:
                return call()
            except Exception as error:
                return error
            finally:
                db.session.remove()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(one, calls))


def test_two_approved_at_once_leave_one(world: World) -> None:
    mine, theirs = world.handed_in("Sun", "a"), world.handed_in("Wind", "b", world.wind)
    results = at_once(world, *[lambda: world.approve(*mine), lambda: world.approve(*theirs)] * 2)
    # One of the two may be approved a second time only to find itself replaced.
    assert all(each is None or isinstance(each, ServiceError) for each in results), results
    assert sorted(world.statuses()) == [L.APPROVED, L.REPLACED]
    shown = db.session.scalars(select(Listing).where(Listing.status == L.APPROVED)).one()
    assert world.activity().title == shown.title
    assert world.activity().picture == shown.pictures[0].path


def test_approved_and_taken_back_at_once(world: World) -> None:
    first, version = world.handed_in()

    def take_back() -> None:
        with unit_of_work() as session:
            listing.take_back(session, world.sun, first, **world.who)

    results = at_once(world, lambda: world.approve(first, version), take_back)
    failed = [each for each in results if each is not None]
    assert len(failed) == 1, results
    assert isinstance(failed[0], ServiceError | NotFoundError)
    approved = world.statuses() == [L.APPROVED]
    assert (world.activity().title["en"] == "New title en") is approved


def test_begun_twice_at_once(world: World) -> None:
    results = at_once(world, *[world.begin] * 4)
    assert len(set(results)) == 1, results
    assert isinstance(results[0], int)
    assert world.statuses() == [L.DRAFT]


def test_pictures_added_at_once_each_have_their_place(world: World) -> None:
    first = world.begin()
    results = at_once(world, *[lambda name=name: world.add(first, name) for name in "abcdef"])
    assert all(isinstance(each, int) for each in results), results
    db.session.rollback()
    places = db.session.scalars(select(Picture.position).order_by(Picture.position)).all()
    assert places == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize(
    ("old", "new", "left", "right"),
    [
        ("a b", "a b", [("a b", False)], [("a b", False)]),
        ("", "a", [], [("a", True)]),
        ("a b c", "a x c", [("a", False), ("b", True), ("c", False)],
         [("a", False), ("x", True), ("c", False)]),
        ("a\n\nb", "a\nb", [("a", False), ("\n", False), ("\n", True), ("b", False)],
         [("a", False), ("\n", False), ("b", False)]),
    ],
)  # fmt: skip
def test_comparing_word_by_word(old: str, new: str, left: list[Any], right: list[Any]) -> None:
    assert reviewing.compared(old, new) == (left, right)


def test_nothing_is_lost_in_comparing() -> None:
    old = "The quick  brown fox.\n\nIt jumps; the dog sleeps on. " * 40
    new = old.replace("fox", "vixen").replace("sleeps on", "barks")
    for parts, text in zip(reviewing.compared(old, new), (old, new), strict=True):
        assert " ".join(part for part, _ in parts).split() == text.split()


@pytest.mark.parametrize("lang", LANGS)
def test_mails_of_a_review(app: Flask, clock: Clock, lang: str) -> None:
    with app.test_request_context():
        world = World(app, clock)
        provider = db.session.get_one(Provider, world.sun)
        provider.locale = lang
        db.session.commit()
        first, version = world.handed_in("<b>Bold</b>")
        world.refuse(first, version, "Which <river>?\n\nPlease say.")
        world.write(first, text="<b>Bold</b>")
        world.approve(first, world.submit(first))
        db.session.rollback()
        refused, approved = db.session.scalars(select(Message).order_by(Message.id)).all()
        back, public = (mail.render(db.session(), each) for each in (refused, approved))
        for made in (back, public):
            assert made["To"] == provider.email
            assert made["Content-Language"] == lang
            assert f"<b>Bold</b> title {lang}" in made["Subject"]
            html = made.get_body(("html",)).get_content()
            assert "<b>Bold" not in html
            assert "<river>" not in html
        text = back.get_body(("plain",)).get_content()
        assert "Which <river>?" in text
        assert "Please say." in text
        assert f"/{lang}/provider/listings/{world.slug}" in text
        assert f"/{lang}/projects/{world.slug}" in public.get_body(("plain",)).get_content()
