"""Nothing can wait for a person without showing where operators look."""

from __future__ import annotations

from enum import StrEnum

from cnn_offset import jobs
from cnn_offset.domain import status
from cnn_offset.services import attention
from cnn_offset.services.attention import Kind
from cnn_offset.services.attention.others import work_kinds
from cnn_offset.services.attention.ties import LOOK, REST


def statuses() -> set[type[StrEnum]]:
    return {
        each
        for each in vars(status).values()
        if isinstance(each, type) and issubclass(each, StrEnum) and each is not StrEnum
    }


def test_of_every_status_it_is_said_whether_a_person_must_look() -> None:
    for kind in statuses():
        look, rest = set(LOOK.get(kind, ())), REST.get(kind, frozenset())
        left = set(kind) - look - rest
        assert not left, f"services/attention/ties.py says nothing of {left}"
        assert not look & rest, f"{kind.__name__}: both at once: {look & rest}"
    assert set(LOOK) | set(REST) == statuses()


def test_every_kind_is_looked_for_in_the_order_of_harm() -> None:
    assert set(attention._FINDS) == set(Kind)
    assert [attention.RANK[kind] for kind in Kind] == list(range(len(Kind)))


def test_every_kind_of_work_shows_when_it_keeps_failing() -> None:
    assert {kind for kind, _ in jobs.WORK.values()} <= set(work_kinds())
    assert all(hasattr(kind, "attempts") for kind in work_kinds())
