"""Project pages in the workspace: texts, pictures, who may, and what comes back."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest
from flask import Flask
from PIL import Image

from cnn_offset.domain.staff import StaffRole
from cnn_offset.extensions import db, platform
from cnn_offset.models import Listing
from cnn_offset.services import listing
from tests.conftest import Clock
from tests.web.drafts import ALT, Desk, open_desk, picture_of, texts
from tests.web.people import add_person, log_in, post
from tests.web.shopping import text_of


@pytest.fixture
def desk(app: Flask) -> Desk:
    return open_desk(app)


def test_from_the_list_to_review(desk: Desk) -> None:
    listed = desk.staff.get(desk.base)
    assert "Public, as our staff entered it" in text_of(listed)
    assert f"{desk.base}/{desk.slug}" in listed.text
    page = desk.staff.get(f"{desk.base}/{desk.slug}")
    assert "Write the page" in text_of(page)
    version = desk.begin()
    assert desk.begin() == version
    shown = text_of(desk.staff.get(version))
    assert "at least one picture" in shown
    assert "Hand in for review" not in shown
    assert post(desk.staff, f"{version}/submit").status_code == 302
    assert desk.row(version).status == "draft"
    assert desk.save(version, text="Fresh").location == version
    assert desk.send(version, picture_of(1600, 1200)).location == f"{version}/pictures"
    shown = text_of(desk.staff.get(version))
    assert "Fresh words (fr)." in shown
    assert "Hand in for review" in shown
    post(desk.staff, f"{version}/submit")
    assert "Waits for review since" in text_of(desk.staff.get(desk.base))
    shown = text_of(desk.staff.get(version))
    assert "Take it back" in shown
    assert "Change the texts" not in shown
    post(desk.staff, f"{version}/take-back")
    assert desk.row(version).status == "draft"


@pytest.mark.parametrize("lang", ["en", "fr", "es"])
def test_every_page_in_every_language(app: Flask, lang: str) -> None:
    desk = open_desk(app)
    desk.lang = lang
    version = desk.begin()
    desk.send(version, picture_of())
    picture = desk.row(version).pictures[0].id
    for path in (
        desk.base,
        f"{desk.base}/{desk.slug}",
        version,
        f"{version}/texts",
        f"{version}/pictures",
        f"{version}/pictures/{picture}",
    ):
        answer = desk.staff.get(path)
        assert answer.status_code == 200, path
        assert f'<html lang="{lang}"' in answer.text
        assert answer.headers["Cache-Control"] == "no-store"


def test_what_was_typed_comes_back_with_errors(desk: Desk) -> None:
    version = desk.begin()
    long = "mot " * 501
    answer = desk.save(
        version,
        **{"description-fr": long, "title-es": "x" * 121, "sd_report_url": "javascript:alert(1)"},
    )
    assert answer.status_code == 422
    assert "<title>Error:" in answer.text
    for field in ("description-fr", "title-es", "sd_report_url"):
        assert f'href="#{field}"' in answer.text
        assert f'aria-describedby="{field}-' in answer.text
    assert answer.text.count("mot ") >= 501
    assert "501 words; it may have 500" in text_of(answer)
    assert desk.row(version).version == 1
    assert desk.save(version, **{"description-fr": "mot " * 500}).status_code == 302


def test_markup_is_text(desk: Desk) -> None:
    version = desk.begin()
    marker = "\"'><svg/onload=x>{{7*7}}"
    desk.save(version, **{"title-en": marker, "description-en": marker, "labels-en": marker})
    desk.send(version, picture_of(), **{"alt-en": marker})
    picture = desk.row(version).pictures[0].id
    for path in (version, f"{version}/texts", f"{version}/pictures", f"{version}/pictures/{picture}",
                 f"{desk.base}/{desk.slug}"):  # fmt: skip
        page = desk.staff.get(path).text
        assert "<svg/onload" not in page, path
        assert ">49<" not in page, path


def test_an_older_form_is_refused_and_shows_both(desk: Desk) -> None:
    version = desk.begin()
    drawn = str(desk.row(version).version)
    assert desk.save(version, text="Ada", version=drawn).status_code == 302
    answer = desk.save(version, text="Ben", version=drawn)
    assert answer.status_code == 422
    shown = text_of(answer)
    assert "Somebody else has saved" in shown
    assert "Ada words (fr)." in shown
    assert 'value="Ben title en"' in answer.text
    assert desk.row(version).title["en"] == "Ada title en"
    newer = re.search(r'name="version" value="(\d+)"', answer.text)
    assert newer
    assert desk.save(version, text="Ben", version=newer[1]).status_code == 302
    assert desk.row(version).title["en"] == "Ben title en"
    for nonsense in ("", "x", "-1", "9" * 30):
        assert desk.save(version, version=nonsense).status_code == 422


def test_the_widths_of_a_picture_and_nothing_else_are_stored(app: Flask, desk: Desk) -> None:
    version = desk.begin()
    desk.send(version, picture_of(1600, 1200))
    picture = desk.row(version).pictures[0]
    assert picture.widths == [400, 800, 1600]
    assert re.fullmatch(r"pictures/[0-9a-f]{32}-1600\.webp", picture.path)
    assert picture.alt == {"en": "Hill en", "fr": "Hill fr", "es": "Hill es"}
    with app.app_context():
        stored = platform().files.find("")
        names = sorted(each.rpartition("/")[2] for each in stored)
    assert names == sorted(
        re.sub(r"-1600", f"-{width}", picture.path.rpartition("/")[2]) for width in (400, 800, 1600)
    )
    for width in picture.widths:
        answer = desk.staff.get(f"{version}/pictures/{picture.id}/{width}")
        assert answer.mimetype == "image/webp"
        assert Image.open(io.BytesIO(answer.data)).size == (width, width * 3 // 4)
        assert answer.headers["Cache-Control"] == "no-store"
    for wrong in (401, 0, 1599):
        assert desk.staff.get(f"{version}/pictures/{picture.id}/{wrong}").status_code == 404


def test_drafts_are_not_public(app: Flask, desk: Desk) -> None:
    version = desk.begin()
    desk.send(version, picture_of())
    path = "/" + desk.row(version).pictures[0].path
    for client in (app.test_client(), desk.staff):
        for each in (path, path.replace("-800", "-400")):
            assert client.get(each).status_code == 404
    for trick in ("//", "/./", "/x/../"):
        assert app.test_client().get(
            path.replace("/pictures/", f"/pictures{trick}")
        ).status_code in (
            404,
            308,
        )


BAD = {
    "an SVG": (b"<svg xmlns='http://www.w3.org/2000/svg'><script>1</script></svg>", "SVG"),
    "a PDF": (b"%PDF-1.7", "PDF"),
    "a GIF": (b"GIF89a" + b"\0" * 50, "GIF"),
    "cut off": (picture_of()[:2000], "damaged"),
    "too small": (picture_of(640, 480), "640 by 480 pixels"),
    "too heavy": (b"\xff\xd8" + b"\0" * 13_000_000, "larger than 12 MB"),
}


@pytest.mark.parametrize("which", BAD)
def test_bad_pictures_come_back_with_the_words(app: Flask, desk: Desk, which: str) -> None:
    data, words = BAD[which]
    version = desk.begin()
    answer = desk.send(version, data)
    assert answer.status_code == 422
    assert words in text_of(answer)
    assert 'value="Hill fr"' in answer.text
    assert 'href="#picture"' in answer.text
    assert desk.row(version).pictures == []
    with app.app_context():
        assert platform().files.find("") == []


def test_strangers_may_not_send_much(app: Flask, desk: Desk) -> None:
    version = desk.begin()
    data = {"picture": (io.BytesIO(b"\0" * 7_000_000), "x.jpg")}
    assert app.test_client().post(f"{version}/pictures", data=data).status_code == 413


def test_no_picture_at_all(desk: Desk) -> None:
    version = desk.begin()
    for upload in ("", "0" * 32, "../../../etc/passwd", "\0"):
        answer = desk.send(version, None, upload=upload)
        assert answer.status_code == 422
        assert "Please choose a picture." in text_of(answer)
    assert desk.send(version, b"").status_code == 422


def test_words_are_asked_for_and_the_picture_is_kept_meanwhile(app: Flask, desk: Desk) -> None:
    version = desk.begin()
    answer = desk.send(version, picture_of(), **{"alt-fr": "", "alt-es": "x" * 151})
    assert answer.status_code == 422
    assert 'href="#alt-fr"' in answer.text
    assert 'href="#alt-es"' in answer.text
    assert 'type="file"' not in answer.text
    upload = re.search(r'name="upload" value="([0-9a-f]{32})"', answer.text)
    assert upload
    answer = desk.send(version, None, upload=upload[1])
    assert answer.status_code == 302
    assert len(desk.row(version).pictures) == 1
    with app.app_context():
        assert not [each for each in platform().files.find("") if "uploads" in each]


def test_a_crop_is_shown_and_agreed_to(app: Flask, desk: Desk) -> None:
    version = desk.begin()
    answer = desk.send(version, picture_of(1600, 800))
    assert answer.status_code == 422
    assert "not in the shape 4:3" in text_of(answer)
    upload = re.search(r'name="upload" value="([0-9a-f]{32})"', answer.text)
    assert upload
    previews = re.findall(r'src="([^"]+/uploads/[^"]+)"', answer.text)
    assert len(previews) == 3
    for preview in previews:
        shown = desk.staff.get(preview)
        assert shown.mimetype == "image/webp"
        assert shown.headers["Cache-Control"] == "no-store"
        assert app.test_client().get(preview).status_code == 302
    for keep in ("", "all", "START"):
        again = desk.send(version, None, upload=upload[1], keep=keep)
        assert again.status_code == 422
        assert upload[1] in again.text
    # Consent to what was shown says nothing of another file.
    assert desk.send(version, picture_of(1700, 800), keep="end").status_code == 422
    newest = re.search(r'name="upload" value="([0-9a-f]{32})"', desk.send(
        version, picture_of(1600, 800)).text)  # fmt: skip
    assert newest
    assert desk.staff.get(previews[0]).status_code == 404, "one file waits at most"
    answer = desk.send(version, None, upload=newest[1], keep="end", **{"alt-en": ""})
    assert answer.status_code == 422
    assert re.search(r'value="end" checked', answer.text)
    assert desk.send(version, None, upload=newest[1], keep="end").status_code == 302
    assert desk.row(version).pictures[0].widths == [400, 800]


def test_pictures_are_moved_described_and_removed(desk: Desk) -> None:
    version = desk.begin()
    for name in "ab":
        desk.send(version, picture_of(), **{"alt-en": name})
    first, second = (each.id for each in desk.row(version).pictures)

    def order() -> list[str]:
        return [each.alt["en"] for each in desk.row(version).pictures]

    post(desk.staff, f"{version}/pictures/{second}", do="up")
    assert order() == ["b", "a"]
    post(desk.staff, f"{version}/pictures/{second}", do="down")
    assert order() == ["a", "b"]
    answer = post(desk.staff, f"{version}/pictures/{first}", **{**ALT, "alt-es": ""})
    assert answer.status_code == 422
    assert 'value="Hill en"' in answer.text
    assert post(desk.staff, f"{version}/pictures/{first}", **ALT).status_code == 302
    assert order() == ["Hill en", "b"]
    post(desk.staff, f"{version}/pictures/{first}", do="remove")
    assert order() == ["b"]
    assert post(desk.staff, f"{version}/pictures/{first}", do="remove").status_code == 404


def test_eight_pictures_are_enough(app: Flask, desk: Desk, clock: Clock) -> None:
    version = desk.begin()
    with app.app_context():
        found = db.session.get_one(Listing, desk.row(version).id)
        for n in range(8):
            listing.add_picture(
                db.session(), found.provider_id, found.id, name=f"{n:032x}", widths=[400, 800],
                alt={}, actor="test", now=clock(),
            )  # fmt: skip
        db.session.commit()
    assert "Add a picture" not in text_of(desk.staff.get(f"{version}/pictures"))
    answer = desk.send(version, picture_of())
    assert answer.status_code == 422
    assert "8 pictures already" in text_of(answer)


def test_what_waits_for_review_is_not_changed(desk: Desk) -> None:
    version = desk.hand_in()
    picture = desk.row(version).pictures[0].id
    for path in ("texts", "pictures", f"pictures/{picture}"):
        assert desk.staff.get(f"{version}/{path}").location == version
    assert desk.save(version, text="Late").status_code == 422
    assert desk.send(version, picture_of()).status_code == 422
    post(desk.staff, f"{version}/pictures/{picture}", do="remove")
    assert post(desk.staff, f"{desk.base}/{desk.slug}/begin").location.endswith(desk.slug)
    row = desk.row(version)
    assert (row.title["en"], len(row.pictures), row.status) == ("New title en", 1, "submitted")


def test_somebody_elses_is_not_there(app: Flask, desk: Desk, caplog: Any) -> None:
    other = open_desk(app, "other@example.org")
    version = desk.begin()
    waiting = desk.send(version, picture_of(1600, 800)).text
    desk.send(version, picture_of())
    picture = desk.row(version).pictures[0].id
    token = re.search(r"/uploads/([0-9a-f]{32})/", waiting)
    assert token
    gets = ["", "/texts", "/pictures", f"/pictures/{picture}", f"/pictures/{picture}/400",
            f"/uploads/{token[1]}/middle"]  # fmt: skip
    for path in gets:
        assert other.staff.get(version + path).status_code == 404, path
    posts: dict[str, dict[str, Any]] = {
        "/texts": texts(version="1"),
        "/pictures": ALT,
        f"/pictures/{picture}": {"do": "remove"},
        "/submit": {},
        "/take-back": {},
    }
    for path, fields in posts.items():
        assert post(other.staff, version + path, **fields).status_code == 404, path
    assert other.staff.get(f"{desk.base}/{desk.slug}").status_code == 404
    assert post(other.staff, f"{desk.base}/{desk.slug}/begin").status_code == 404
    assert desk.slug not in other.staff.get(desk.base).text
    # Nor is a picture reached through a version of one's own.
    own = other.begin()
    assert other.staff.get(f"{own}/pictures/{picture}/400").status_code == 404
    assert post(other.staff, f"{own}/pictures/{picture}", do="remove").status_code == 404
    for strange in (2**63, 2**70, 0, "x", "-1"):
        assert other.staff.get(f"{desk.base}/versions/{strange}").status_code == 404, strange


def test_accounts_look_and_do_not_write(app: Flask, desk: Desk) -> None:
    version = desk.begin()
    add_person(app, "money@example.org", "provider", desk.provider, staff_role=StaffRole.ACCOUNTS)
    money = log_in(app, "money@example.org")
    for path in (desk.base, f"{desk.base}/{desk.slug}", version):
        assert money.get(path).status_code == 200
    for path in ("/texts", "/pictures"):
        assert money.get(version + path).status_code == 403
    for path in ("/texts", "/pictures", "/submit", "/take-back"):
        assert post(money, version + path).status_code == 403
    assert post(money, f"{desk.base}/{desk.slug}/begin").status_code == 403
    assert desk.row(version).status == "draft"


def test_extra_fields_change_nothing(desk: Desk) -> None:
    version = desk.begin()
    desk.save(version, status="approved", provider_id="99", number="7", activity_id="1")
    row = desk.row(version)
    assert (row.status, row.number) == ("draft", 1)
    assert row.provider_id != 99
