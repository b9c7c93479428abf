"""The catalogues are complete, current, and keep their placeholders."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "cnn_offset" / "translations"
PLACEHOLDER = re.compile(r"%\((\w+)\)[a-z]|%%|\{\w*\}")


def catalogue(lang: str) -> Catalog:
    with (FOLDER / lang / "LC_MESSAGES" / "messages.po").open("rb") as file:
        return read_po(file, lang)


@pytest.fixture(scope="module")
def extracted(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    target = tmp_path_factory.mktemp("i18n") / "messages.pot"
    subprocess.run(
        [
            Path(sys.executable).parent / "pybabel", "-q", "extract", "-F", FOLDER / "babel.cfg",
            "-k", "N_", "-k", "lazy_gettext", "--no-location", "-o", target, ".",
        ],
        cwd=ROOT, check=True,
    )  # fmt: skip
    with target.open("rb") as file:
        return read_po(file)


@pytest.mark.parametrize("lang", ["fr", "es"])
def test_every_message_is_translated(lang: str, extracted: Catalog) -> None:
    known = catalogue(lang)
    missing = [
        message.id
        for message in extracted
        if message.id and not _complete(known.get(message.id, message.context))
    ]
    assert missing == []


def _complete(message: object) -> bool:
    if message is None or message.fuzzy:  # type: ignore[attr-defined]
        return False
    text = message.string  # type: ignore[attr-defined]
    return all(text) if isinstance(text, tuple) else bool(text)


@pytest.mark.parametrize("lang", ["fr", "es"])
def test_placeholders_are_kept(lang: str) -> None:
    for message in catalogue(lang):
        if not message.id:
            continue
        ids = message.id if isinstance(message.id, tuple) else (message.id,)
        wanted = {each.group() for id_ in ids for each in PLACEHOLDER.finditer(id_)}
        texts = message.string if isinstance(message.string, tuple) else (message.string,)
        for text in texts:
            got = {each.group() for each in PLACEHOLDER.finditer(text)}
            assert got <= wanted, message.id
            # A singular may leave out its number.
            assert len(ids) > 1 or got == wanted, message.id


@pytest.mark.parametrize("lang", ["fr", "es"])
def test_compiled_catalogue_is_current(lang: str) -> None:
    from babel.messages.mofile import read_mo

    with (FOLDER / lang / "LC_MESSAGES" / "messages.mo").open("rb") as file:
        compiled = read_mo(file)
    for message in catalogue(lang):
        if message.id:
            got = compiled.get(message.id, message.context).string
            # Babel reads plurals as a list here and as a tuple there.
            assert [*got] == [*message.string], message.id
