"""What the sandbox remembers."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from cnn_offset.sandbox.state import State


def test_documents_are_copies_in_order_of_first_storing() -> None:
    state = State()
    for key in ("b", "a", "c"):
        state.put("kind", key, {"key": key}, part="x" if key != "a" else "y")
    state.put("kind", "b", {"key": "b", "again": True}, part="x")
    state.put("other", "b", {})
    assert [each["key"] for each in state.all("kind")] == ["b", "a", "c"]
    assert [each["key"] for each in state.all("kind", part="x")] == ["b", "c"]
    found = state.get("kind", "b")
    assert found == {"key": "b", "again": True}
    found["key"] = "changed"
    assert state.get("kind", "b") == {"key": "b", "again": True}
    assert state.get("kind", "d") is None


def test_pages_follow_one_another() -> None:
    state = State()
    for number in range(5):
        state.put("kind", str(number), {})
    first = state.rows("kind", limit=2)
    second = state.rows("kind", after=first[-1][0], limit=2)
    third = state.rows("kind", after=second[-1][0], limit=2)
    assert [key for _, key, _ in first + second + third] == ["0", "1", "2", "3", "4"]


def test_delete_forgets_one_or_all_of_a_kind() -> None:
    state = State()
    for kind, key in (("kind", "a"), ("kind", "b"), ("other", "a")):
        state.put(kind, key, {})
    state.delete("kind", "a")
    assert [key for _, key, _ in state.rows("kind")] == ["b"]
    state.delete("kind")
    assert not state.all("kind")
    assert len(state.all("other")) == 1


def test_an_error_undoes_the_whole_transaction() -> None:
    state = State()
    state.put("kind", "a", {"n": 1})
    with pytest.raises(RuntimeError), state.transaction():
        state.put("kind", "a", {"n": 2})
        with state.transaction():
            state.put("kind", "b", {})
        raise RuntimeError
    assert state.get("kind", "a") == {"n": 1}
    assert state.get("kind", "b") is None


def test_threads_do_not_lose_each_others_counting() -> None:
    state = State()

    def count() -> None:
        for _ in range(50):
            state.number("n")

    threads = [threading.Thread(target=count) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert state.number("n") == 201


def test_a_file_survives_a_restart(tmp_path: Path) -> None:
    path = str(tmp_path / "state.sqlite")
    state = State(path)
    state.put("kind", "a", {"text": "Łódź"}, part="p")
    # Not closed, as after a kill.
    assert State(path).all("kind", part="p") == [{"text": "Łódź"}]
    state.clear()
    assert State(path).all("kind") == []
    state.close()
