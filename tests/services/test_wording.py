"""Drafts and sentences: one wins, the others are told; on both databases."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from flask import Flask
from sqlalchemy import select

from cnn_offset.domain.status import PageStatus
from cnn_offset.extensions import db, unit_of_work
from cnn_offset.models import PageVersion, Saying
from cnn_offset.services import NotFoundError, ServiceError, rephrasing, wording
from cnn_offset.services.rephrasing import Sentence
from cnn_offset.wording import shipped
from tests.conftest import Clock

LANGUAGES = ("en", "fr", "es")
PAID = Sentence("Order %(code)s: paid")


def at_once(app: Flask, *acts: Callable[[], object]) -> list[object]:
    """Do things at the same moment in threads of their own; return what came, or was raised."""
    ready = Barrier(len(acts))

    def run(act: Callable[[], object]) -> object:
        with app.app_context():
            ready.wait()
            try:
                return act()
            except (ServiceError, NotFoundError) as error:
                return error

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(run, acts))


def test_of_two_drafts_begun_at_once_one_is_made(any_app: Flask, clock: Clock) -> None:
    def begin() -> None:
        with unit_of_work() as session:
            wording.begin_draft(session, "faq", shipped("faq"), why="x", actor="ed", now=clock())

    results = at_once(any_app, begin, begin)
    assert sorted(type(each).__name__ for each in results) == ["NoneType", "ServiceError"]
    with any_app.app_context():
        assert len(db.session.scalars(select(PageVersion)).all()) == 1


def test_of_two_who_publish_at_once_one_does(any_app: Flask, clock: Clock) -> None:
    with any_app.app_context():
        for _ in range(2):
            with unit_of_work() as session:
                found = wording.begin_draft(
                    session, "terms", shipped("terms"), why="x", actor="ed", now=clock()
                )
                session.flush()
            if found.number == 1:
                publish(clock, 1)

    results = at_once(any_app, lambda: publish(clock, 1), lambda: publish(clock, 1))
    assert sum(each is None for each in results) == 1
    with any_app.app_context():
        rows = db.session.execute(
            select(PageVersion.status, PageVersion.name).order_by(PageVersion.number)
        ).all()
    day = clock().date().isoformat()
    assert [tuple(each) for each in rows] == [
        (PageStatus.REPLACED, day),
        (PageStatus.PUBLISHED, f"{day}-2"),
    ]


def publish(clock: Clock, edition: int) -> None:
    with unit_of_work() as session:
        wording.publish(
            session, "terms", edition=edition, reason="why", languages=LANGUAGES,
            shipped_names=(), actor="ed", now=clock(),
        )  # fmt: skip


def test_of_two_who_change_a_sentence_at_once_one_is_told(any_app: Flask, clock: Clock) -> None:
    def change(words: str) -> Callable[[], None]:
        def act() -> None:
            with unit_of_work() as session:
                rephrasing.rephrase(
                    session, "mail", PAID, {"en": (words, "")}, seen={}, reason="why",
                    actor="ed", now=clock(),
                )  # fmt: skip

        return act

    results = at_once(any_app, change("%(code)s is paid"), change("Paid: %(code)s"))
    assert sorted(type(each).__name__ for each in results) == ["NoneType", "ServiceError"]
    with any_app.app_context():
        assert db.session.scalars(select(Saying.number)).all() == [1]


def test_what_is_published_is_not_changed(app: Flask, clock: Clock) -> None:
    with app.app_context():
        with unit_of_work() as session:
            wording.begin_draft(
                session, "terms", shipped("terms"), why="x", actor="ed", now=clock()
            )
        publish(clock, 1)
        with pytest.raises(NotFoundError), unit_of_work() as session:
            wording.save_draft(session, "terms", {}, edition=2, actor="ed", now=clock())


def test_words_that_are_there_already_are_not_added(app: Flask, clock: Clock) -> None:
    with app.app_context():
        for words in ("Paid: %(code)s", "Paid: %(code)s", ""):
            with unit_of_work() as session:
                seen = {
                    lang: each.number
                    for lang, each in rephrasing.current(session, "mail", PAID.key).items()
                }
                rephrasing.rephrase(
                    session, "mail", PAID, {"en": (words, ""), "fr": ("", "")}, seen=seen,
                    reason="why", actor="ed", now=clock(),
                )  # fmt: skip
        rows = db.session.execute(select(Saying.lang, Saying.text).order_by(Saying.id)).all()
    assert [tuple(each) for each in rows] == [("en", "Paid: %(code)s"), ("en", "")]
