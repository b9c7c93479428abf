"""Pages in Markdown: what is read, and what is refused, with its line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnn_offset.domain import prose

GOOD = (
    "# Title\n\nA lead.\n\n## Part {#part}\n\nWords, [here]({faq}#x) and [there](https://un.org).\n"
)
LANGUAGES = ("en", "fr", "es")


def said(text: str) -> list[tuple[int, str]]:
    """Return the faults of a text in English, with their lines."""
    found = prose.faults({"en": text}, ("en",))["en"]
    return [(each.line, each.message % each.values) for each in found]


def test_a_good_page_has_no_fault() -> None:
    assert said(GOOD) == []
    french = GOOD.replace("Words", "Mots").replace("Title", "Titre")
    assert prose.faults({"en": GOOD, "fr": french, "es": french}, LANGUAGES) == {
        "en": [], "fr": [], "es": [],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{nothing}", "no placeholder {nothing}"),
        ("a } b", "belongs to no placeholder"),
        ("{ faq }", "belongs to no placeholder"),
        ("words {last_orders}", "must stand alone"),
        ("# Again", "one title only"),
        ("#### Deep {#deep}", "skips a level: begin it with ###"),
        ("## No anchor", "needs an anchor"),
        ("## Bad {#No_Good}", "is no anchor"),
        ("## Part {#part}", "two headings with {#part}"),
        ("[x](/en/faq)", "“/en/faq” leads nowhere"),
        ("[x](http://un.org)", "leads nowhere"),
        ("[x](https://localhost)", "leads nowhere"),
        ("[x](https://a:b@un.org)", "leads nowhere"),
        ("[x](#nowhere)", "leads nowhere"),
        ("[x]({contact_email})", "leads nowhere"),
        ("[x](javascript:alert)", "not understood"),
        ("[x](data:text/html,x)", "not understood"),
        ("<p>", "looks like HTML"),
        ("<!-- x", "looks like HTML"),
    ],
)
def test_a_fault_has_its_line(line: str, words: str) -> None:
    faults = said(f"{GOOD}\n{line}\n")
    assert len(faults) == 1
    assert faults[0][0] == GOOD.count("\n") + 2
    assert words in faults[0][1]


@pytest.mark.parametrize(
    "line",
    [
        "{last_orders}",
        "[x](#part)",
        "[x](mailto:{contact_email})",
        "[x]({contact_form})",
        "### Deeper",
        "### Deeper {#deeper}",
        "5 < 6 and 7 > 6",
        "> quoted",
        "| a | b |\n| --- | --- |\n| 1 | [x]({terms}) |",
        "- one\n    - two",
    ],
)
def test_what_may_stand_in_a_page(line: str) -> None:
    assert said(f"{GOOD}\n{line}\n") == []


def test_a_page_begins_with_its_title() -> None:
    for text in ("words\n", "## Part {#part}\n", "words\n\n# Title\n"):
        assert any("first line must be the title" in words for _line, words in said(text))


def test_the_languages_have_the_same_parts() -> None:
    other = GOOD.replace("{#part}", "{#teil}")
    fewer = GOOD.split("##")[0]
    found = prose.faults({"en": GOOD, "fr": other, "es": fewer}, LANGUAGES)
    assert [each.line for each in found["fr"]] == [5]
    assert "headings" in found["es"][0].message
    same = prose.faults({"en": GOOD, "fr": GOOD, "es": ""}, LANGUAGES)
    assert "same as the English" in same["fr"][0].message
    assert "missing" in same["es"][0].message


def test_what_is_kept_has_no_invisible_signs() -> None:
    assert prose.clean("# T \r\n\r\n\r\n\r\na\tb\u200b\u202e \u00a0: c\x00\r") == (
        "# T\n\na    b \u00a0: c\n"
    )
    assert prose.clean(" \n\n") == ""


@given(st.text(alphabet=st.sampled_from("#[](){}<>*_`~|-+!\\&; \nabc:/.'\"0"), max_size=80))
def test_nothing_breaks_the_reader(text: str) -> None:
    kept = prose.clean(text)
    prose.faults({"en": kept, "fr": kept}, ("en", "fr"))
    prose.headings(kept)
