"""Operators write pages and sentences; everybody reads what was published, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from pypdf import PdfReader
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from cnn_offset import mail, sayings, sentences, wording
from cnn_offset.domain import prose
from cnn_offset.domain.staff import OperatorRole
from cnn_offset.domain.status import AttestationStatus, PageStatus
from cnn_offset.extensions import db, unit_of_work
from cnn_offset.mail import examples
from cnn_offset.models import Attestation, Event, Message, Order, PageVersion, Saying
from cnn_offset.services.rephrasing import Sentence
from tests.conftest import Clock
from tests.web.people import add_person, log_in, post
from tests.web.selling import sell

WHY = "Asked for by the board"
LANGUAGES = ("en", "fr", "es")
RECEIVED = Sentence("Order %(code)s: received")


@pytest.fixture
def editor(app: Flask) -> FlaskClient:
    """The browser of an operator who writes."""
    add_person(app, "ed@example.org", "operator", operator_role=OperatorRole.EDITOR)
    return log_in(app, "ed@example.org")


def texts(page: str = "contact", **changes: str) -> dict[str, str]:
    """Return the fields of the form with the shipped texts, some of them changed."""
    shipped = wording.shipped(page)
    return {f"text_{lang}": changes.get(lang, shipped[lang]) for lang in LANGUAGES}


def marked(page: str = "contact", word: str = "Zebra") -> dict[str, str]:
    """Return the texts with a word added in each language."""
    return texts(
        page, **{lang: text + f"\n{word} {lang}.\n" for lang, text in wording.shipped(page).items()}
    )


def edition(app: Flask, page: str = "contact") -> int:
    with app.app_context():
        return db.session.scalars(
            select(PageVersion.edition).where(
                PageVersion.page == page, PageVersion.status == PageStatus.DRAFT
            )
        ).one()


def write(app: Flask, editor: FlaskClient, fields: dict[str, str], page: str = "contact") -> None:
    """Begin a draft and save it."""
    assert post(editor, f"/en/operator/pages/{page}/draft").status_code == 302
    answer = post(editor, f"/en/operator/pages/{page}/edit", edition=edition(app, page), **fields)
    assert answer.status_code == 302, answer.text


def publish(
    app: Flask, editor: FlaskClient, page: str = "contact", reason: str = WHY
) -> TestResponse:
    return post(
        editor, f"/en/operator/pages/{page}/publish", edition=edition(app, page), reason=reason
    )


def test_a_page_is_written_looked_at_and_published(
    app: Flask, editor: FlaskClient, client: FlaskClient
) -> None:
    assert "As shipped" in editor.get("/en/operator/pages").text
    write(app, editor, marked())
    for lang in LANGUAGES:
        assert f"Zebra {lang}." not in client.get(f"/{lang}/contact").text
        preview = editor.get(f"/{lang}/operator/pages/contact/versions/1/preview").text
        assert f"Zebra {lang}." in preview
    compared = editor.get("/en/operator/pages/contact/versions/1").text
    assert re.search(r"<ins>.*?Zebra en\.", compared)
    assert 'lang=""' not in compared
    assert "mailto" not in compared
    assert publish(app, editor).headers["Location"].endswith("/operator/pages/contact")
    for lang in LANGUAGES:
        assert f"Zebra {lang}." in client.get(f"/{lang}/contact").text
    page = editor.get("/en/operator/pages/contact").text
    assert WHY in page
    assert "ed@example.org" in page
    with app.app_context():
        events = db.session.execute(
            select(Event.new, Event.actor, Event.why).where(Event.subject == "page_version")
        ).all()
    assert {each.actor for each in events} == {"ed@example.org"}
    assert [each.new for each in events] == ["draft", "draft", "published"]
    assert events[-1].why == WHY


def test_a_new_version_takes_the_place_of_the_old_which_can_be_brought_back(
    app: Flask, editor: FlaskClient, client: FlaskClient
) -> None:
    for word in ("Zebra", "Okapi"):
        write(app, editor, marked(word=word))
        publish(app, editor)
    assert "Zebra" not in client.get("/en/contact").text
    compared = editor.get("/en/operator/pages/contact/versions/2").text
    assert re.search(r"<del>.*?Zebra.*?</del>", compared, re.DOTALL)
    post(editor, "/en/operator/pages/contact/draft", **{"from": "1"})
    publish(app, editor)
    assert "Zebra en." in client.get("/en/contact").text
    with app.app_context():
        statuses = db.session.scalars(select(PageVersion.status).order_by(PageVersion.id)).all()
    assert statuses == [PageStatus.REPLACED, PageStatus.REPLACED, PageStatus.PUBLISHED]
    post(editor, "/en/operator/pages/contact/draft", **{"from": "shipped"})
    publish(app, editor)
    assert "Zebra" not in client.get("/en/contact").text


@pytest.mark.parametrize(
    ("lang", "change", "said"),
    [
        ("fr", lambda text: "", "This language is missing."),
        ("es", lambda text: wording.shipped("contact")["en"], "the same as the English one"),
        ("en", lambda text: text + "\nWrite to {contact_mail}.\n", "no placeholder {contact_mail}"),
        ("en", lambda text: text + "\nA {brace\n", "belongs to no placeholder"),
        ("en", lambda text: text + "\n[x](http://x.org)\n", "leads nowhere"),
        ("en", lambda text: text + "\n[x](javascript:alert(1))\n", "not understood"),
        ("en", lambda text: text + "\n## A\n\n#### B\n", "skips a level"),
        ("fr", lambda text: text + "\n## Encore {#more}\n", "headings, this one has"),
        ("en", lambda text: text + "\n<script>x</script>\n", "looks like HTML"),
    ],
)
def test_what_is_broken_is_not_published_and_the_line_is_named(
    app: Flask,
    editor: FlaskClient,
    client: FlaskClient,
    lang: str,
    change: Callable[[str], str],
    said: str,
) -> None:
    changed = change(wording.shipped("contact")[lang])
    write(app, editor, texts(**{lang: changed}))
    page = editor.get("/en/operator/pages/contact/edit").text.replace("&lt;", "<")
    assert said in page
    if changed.startswith(wording.shipped("contact")[lang]) and "headings" not in said:
        number = wording.shipped("contact")["en"].count("\n") + 2
        assert any(f"Line {each}:" in page for each in (number, number + 2))
    # A preview never fails.
    assert editor.get(f"/{lang}/operator/pages/contact/versions/1/preview").status_code == 200
    answer = publish(app, editor)
    assert answer.status_code == 422
    assert "cannot be published yet" in answer.text
    assert client.get("/en/contact").status_code == 200
    with app.app_context():
        assert db.session.scalars(select(PageVersion.status)).all() == [PageStatus.DRAFT]


def test_nothing_that_operators_write_becomes_html(app: Flask, editor: FlaskClient) -> None:
    bad = '# <b>T</b>\n\n<img src=x onerror=alert(1)>\n\n## <i>H</i> {#h"x}\n\n[x](https://x.org/"><script>)'
    write(app, editor, texts(en=bad))
    page = editor.get("/en/operator/pages/contact/versions/1/preview").text
    assert "<img src=x" not in page
    assert "<b>T" not in page
    assert "<script>)" not in page
    assert "<i>H" not in page


@pytest.mark.parametrize("reason", ["", "  ", "x" * 501])
def test_publishing_needs_a_reason(app: Flask, editor: FlaskClient, reason: str) -> None:
    write(app, editor, marked())
    answer = publish(app, editor, reason=reason)
    assert answer.status_code == 422
    assert 'href="#reason"' in answer.text


def test_of_two_who_save_the_second_is_told_and_loses_nothing(
    app: Flask, editor: FlaskClient
) -> None:
    add_person(app, "flo@example.org", "operator", operator_role=OperatorRole.EDITOR)
    other = log_in(app, "flo@example.org")
    post(editor, "/en/operator/pages/contact/draft")
    seen = edition(app)
    post(other, "/en/operator/pages/contact/edit", edition=seen, **marked(word="Okapi"))
    answer = post(editor, "/en/operator/pages/contact/edit", edition=seen, **marked(word="Zebra"))
    assert answer.status_code == 422
    assert "flo@example.org has changed this draft" in answer.text
    assert "Zebra en." in answer.text
    assert "Okapi en." in answer.text
    for act in ("publish", "discard"):
        post(editor, f"/en/operator/pages/contact/{act}", edition=seen, reason=WHY)
    with app.app_context():
        draft = db.session.scalars(select(PageVersion)).one()
        assert draft.status is PageStatus.DRAFT
        assert "Okapi" in draft.texts["en"]
    # Who looks at it anew can save.
    answer = post(
        editor, "/en/operator/pages/contact/edit", edition=edition(app), **marked(word="Zebra")
    )
    assert answer.status_code == 302


def test_there_is_one_draft_of_a_page_and_it_can_be_put_away(
    app: Flask, editor: FlaskClient, client: FlaskClient
) -> None:
    write(app, editor, marked())
    post(editor, "/en/operator/pages/contact/draft")
    assert "There is a draft of this page already" in editor.get("/en/operator/pages/contact").text
    post(editor, "/en/operator/pages/contact/discard", edition=edition(app))
    assert editor.get("/en/operator/pages/contact/edit").status_code == 404
    assert "Discarded" in editor.get("/en/operator/pages/contact").text
    assert "Zebra" not in client.get("/en/contact").text


def test_a_very_long_part_is_compared_as_a_whole(app: Flask, editor: FlaskClient) -> None:
    long = "# T\n\n" + "so many words " * 4_000
    write(app, editor, texts(en=long))
    page = editor.get("/en/operator/pages/contact/versions/1")
    assert page.status_code == 200
    assert page.text.count("<ins>") <= 3


def test_a_text_that_is_too_long_is_kept_in_the_form(app: Flask, editor: FlaskClient) -> None:
    post(editor, "/en/operator/pages/contact/draft")
    answer = post(
        editor,
        "/en/operator/pages/contact/edit",
        edition=1,
        **texts(en="# T\n\n" + "long " * 12_001),
    )
    assert answer.status_code == 422
    assert "at most 60,000 letters" in answer.text
    assert "long long" in answer.text


@pytest.mark.parametrize(
    "path",
    [
        "nowhere",
        "nowhere/edit",
        "contact/edit",
        "contact/versions/1",
        "contact/versions/1/preview",
        "contact/versions/99999999999",
        "mails/nowhere",
        "sentences/nowhere",
        "sentences/mail/" + "0" * 64,
        "sentences/nowhere/" + "0" * 64,
    ],
)
def test_what_is_not_there(editor: FlaskClient, path: str) -> None:
    assert editor.get(f"/en/operator/pages/{path}").status_code == 404


def test_a_draft_comes_from_something_there_is(editor: FlaskClient) -> None:
    for odd in ("7", "x", "9" * 30, "-1"):
        answer = post(editor, "/en/operator/pages/contact/draft", **{"from": odd})
        assert answer.status_code == 404


def test_others_look_but_do_not_write(app: Flask, editor: FlaskClient) -> None:
    write(app, editor, marked())
    add_person(app, "aud@example.org", "operator", operator_role=OperatorRole.AUDITOR)
    auditor = log_in(app, "aud@example.org")
    assert auditor.get("/en/operator/pages/contact/versions/1").status_code == 200
    for act in ("draft", "edit", "publish", "discard"):
        assert post(auditor, f"/en/operator/pages/contact/{act}").status_code == 403
    key = f"/en/operator/pages/sentences/mail/{RECEIVED.key}"
    assert auditor.get(key).status_code == 200
    assert post(auditor, key).status_code == 403


def test_every_placeholder_of_a_link_has_a_page(app: Flask) -> None:
    assert set(wording.LINKS) == prose.LINKS
    assert set(wording.LINKS.values()) <= set(app.view_functions)


def test_terms_that_changed_meanwhile_are_accepted_anew(
    app: Flask, clock: Clock, editor: FlaskClient
) -> None:
    add_person(app, "new@example.org")
    applicant = log_in(app, "new@example.org")
    page = applicant.get("/en/apply/form").text
    found = re.search(r'name="terms_version" value="([^"]+)"', page)
    assert found
    assert found[1] == wording.SHIPPED_TERMS[0]
    write(app, editor, marked("terms"), "terms")
    publish(app, editor, "terms")
    answer = post(applicant, "/en/apply/form", terms_version=found[1], terms="yes")
    assert "The terms of use have changed" in answer.text
    assert f'name="terms_version" value="{clock().date()}"' in answer.text


def test_new_terms_get_a_name_and_the_old_keep_their_address(
    app: Flask, clock: Clock, editor: FlaskClient, client: FlaskClient
) -> None:
    names = []
    for word in ("Zebra", "Okapi"):
        write(app, editor, marked("terms", word), "terms")
        publish(app, editor, "terms")
        with app.app_context():
            names.append(wording.terms_version())
    day = clock().date().isoformat()
    assert names == [day, f"{day}-2"]
    assert f"Version {day}-2" in client.get("/en/terms").text
    assert "Okapi" in client.get("/en/terms").text
    old = client.get(f"/en/terms/{day}").text
    assert "Zebra" in old
    assert "earlier terms" in old
    for name in wording.SHIPPED_TERMS:
        shipped = client.get(f"/en/terms/{name}").text
        assert "Zebra" not in shipped
        assert "earlier terms" in shipped


def own_words(
    app: Flask,
    editor: FlaskClient,
    sentence: Sentence,
    place: str = "mail",
    **fields: Any,
) -> TestResponse:
    """Send the form of a sentence with the words there are, some of them changed."""
    known: dict[str, str] = {}
    with app.test_request_context("/en/"):
        for lang in LANGUAGES:
            one, many = sayings.shipped(sentence, lang)
            known |= {f"text_{lang}": one, f"plural_{lang}": many}
    sent = {**known, "reason": WHY, "act": "save", **fields}
    return post(editor, f"/en/operator/pages/sentences/{place}/{sentence.key}", **sent)


def subject(app: Flask, kind: str, lang: str) -> str:
    with app.test_request_context(f"/{lang}/"):
        message = Message(
            kind=kind, recipient="a@b.org", locale=lang, params={"about": "unknown", "user_id": 0},
            message_id="<x@y>", created_at=examples.NOW,
        )  # fmt: skip
        return str(mail.render(db.session(), message)["Subject"])


def test_a_sentence_of_a_mail_is_said_in_other_words_in_one_language(
    app: Flask, editor: FlaskClient
) -> None:
    told = Sentence("No account with this address")
    usual = {lang: subject(app, "account", lang) for lang in LANGUAGES}
    answer = own_words(app, editor, told, text_fr="Adresse inconnue : aucun compte & rien")
    assert answer.status_code == 302, answer.text
    assert subject(app, "account", "fr") == "Adresse inconnue : aucun compte & rien"
    assert subject(app, "account", "en") == usual["en"]
    page = editor.get("/en/operator/pages/mails/account").text
    assert "our own words" in page
    assert "An example in English" in editor.get("/en/operator/pages/mails/order_placed").text
    # Nowhere else.
    with app.test_request_context("/fr/"):
        from flask_babel import force_locale, gettext

        with force_locale("fr"):
            assert gettext("No account with this address") == usual["fr"]
    # Back to the shipped words.
    assert own_words(app, editor, told, seen_fr=1).status_code == 302
    assert subject(app, "account", "fr") == usual["fr"]
    with app.app_context():
        rows = db.session.execute(select(Saying.number, Saying.text).order_by(Saying.id)).all()
        assert [tuple(each) for each in rows][1] == (2, "")
        actors = db.session.scalars(select(Event.actor).where(Event.subject == "saying")).all()
    assert actors == ["ed@example.org"] * 2


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"text_en": "Order %(kode)s: received"}, "no placeholder %(kode)s"),
        ({"text_fr": "Commande reçue"}, "placeholder %(code)s is missing"),
        ({"text_en": "Order %(code)s: 100 % received"}, "percent sign"),
        ({"text_en": "Order %(code)s: <b>received</b>"}, "without the signs"),
        ({"text_en": "Order %(code)s " + "x" * 1500}, "at most 1,500 letters"),
        ({"text_en": "Order %(code)s is in", "reason": ""}, "write the reason"),
        ({"text_en": "Order %(code)s is in", "seen_en": 1}, "Somebody else has changed"),
    ],
)
def test_words_that_cannot_be_used(
    app: Flask, editor: FlaskClient, fields: dict[str, Any], said: str
) -> None:
    answer = own_words(app, editor, RECEIVED, **fields)
    assert answer.status_code == 422
    assert said in answer.text.replace("&lt;", "<")
    for name, value in fields.items():
        if name.startswith("text") and "<" not in value:
            assert value in answer.text
    with app.app_context():
        assert db.session.scalar(select(func.count()).select_from(Saying)) == 0


def test_words_are_tried_out_before_they_are_said(app: Flask, editor: FlaskClient) -> None:
    answer = own_words(
        app, editor, RECEIVED, text_en="We have order %(code)s", act="try",
        mail_kind="order_placed",
    )  # fmt: skip
    assert answer.status_code == 200
    assert "We have order 7K2P9QXM" in answer.text
    assert "Nothing is saved yet" in answer.text
    with app.app_context():
        assert db.session.scalar(select(func.count()).select_from(Saying)) == 0


def test_a_sentence_that_counts_has_two_forms(app: Flask, editor: FlaskClient) -> None:
    units = next(each for each in _attested(app) if each.plural)
    answer = own_words(
        app, editor, units, "attestation", text_en="A unit", plural_en="%(n)s carbon units in all"
    )
    assert answer.status_code == 302, answer.text
    with app.test_request_context("/en/"), sayings.speaking(sayings.ATTESTATION):
        from flask_babel import ngettext

        assert ngettext(units.msgid, units.plural, 1, n=1) == "A unit"
        assert ngettext(units.msgid, units.plural, 7, n=7) == "7 carbon units in all"
    answer = own_words(app, editor, units, "attestation", text_en="", plural_en="x", seen_en=1)
    assert "both forms" in answer.text


def _attested(app: Flask) -> tuple[Sentence, ...]:
    with app.app_context():
        return sentences.of_place("attestation")


def test_the_attestation_in_other_words(app: Flask, editor: FlaskClient) -> None:
    attests = Sentence("This attests that")
    tried = own_words(app, editor, attests, "attestation", text_en="Be it known:", act="try")
    assert tried.data.startswith(b"%PDF")
    bad = own_words(app, editor, attests, "attestation", text_en="Be it known 🌳")
    assert "no shape for" in bad.text
    assert own_words(app, editor, attests, "attestation", text_en="Be it known:").status_code == 302
    again = own_words(
        app, editor, attests, "attestation", text_en="Know & see:", seen_en=1, act="try"
    )
    assert "Know & see:" in PdfReader(BytesIO(again.data)).pages[0].extract_text()
    pdf = editor.get("/en/operator/pages/attestation.pdf")
    assert "Be it known:" in PdfReader(BytesIO(pdf.data)).pages[0].extract_text()
    assert pdf.data.startswith(b"%PDF")
    assert "attachment" in pdf.headers["Content-Disposition"]
    assert editor.get("/fr/operator/pages/attestation.pdf").data != pdf.data


def test_an_attestation_is_worded_as_when_it_was_issued(
    app: Flask, clock: Clock, editor: FlaskClient
) -> None:
    attests, said = Sentence("This attests that"), ("en", "This attests that")
    before = clock()
    clock.tick(minutes=5)
    own_words(app, editor, attests, "attestation", text_en="Be it known:")
    first = clock()
    clock.tick(minutes=5)
    own_words(app, editor, attests, "attestation", text_en="Know:", seen_en=1)
    with app.app_context():
        assert said not in sayings.in_force("attestation", before)
        assert sayings.in_force("attestation", first)[said][0] == "Be it known:"
        assert sayings.in_force("attestation")[said][0] == "Know:"


def test_the_page_of_an_attestation_keeps_its_words(
    app: Flask, clock: Clock, editor: FlaskClient, client: FlaskClient
) -> None:
    sale = sell(app, clock, method="bank_transfer")
    with app.app_context(), unit_of_work() as session:
        order = session.get_one(Order, sale.order_id)
        data = replace(examples.attestation("en"), number="VC000001/2026", fulfilled_at=clock())
        lines = tuple(replace(each, completed_at=clock()) for each in data.lines)
        session.add(
            Attestation(
                order=order, sequence=1, year=2026, check_code="x" * 26,
                status=AttestationStatus.ISSUED, locale="en", fulfilled_at=clock(),
                data=replace(data, lines=lines).as_json(), issued_at=clock(),
                path="attestations/x.pdf", sha256="0" * 64,
            )
        )  # fmt: skip
    clock.tick(minutes=5)
    period = Sentence("Monitoring period")
    own_words(app, editor, period, "attestation", text_en="Period watched")
    assert "Monitoring period" in client.get("/en/record/1-2026").text
    with app.app_context(), unit_of_work() as session:
        session.scalars(select(Attestation)).one().issued_at = clock()
    assert "Period watched" in client.get("/en/record/1-2026").text


def test_the_front_page_in_other_words(
    app: Flask, editor: FlaskClient, client: FlaskClient
) -> None:
    hero = Sentence("Take one tonne out of circulation. Or a million.")
    tried = own_words(app, editor, hero, "home", text_en="One tonne & more", act="try")
    assert "One tonne &amp; more" in tried.text
    assert "One tonne" not in client.get("/en/").text
    own_words(app, editor, hero, "home", text_en="One tonne & more")
    assert "One tonne &amp; more" in client.get("/en/").text
    assert "One tonne &amp; more" not in client.get("/fr/").text


def test_the_words_of_others_are_in_the_history_and_come_back(
    app: Flask, editor: FlaskClient
) -> None:
    own_words(app, editor, RECEIVED, text_en="We have order %(code)s")
    assert "We have order 7K2P9QXM" in editor.get("/en/operator/pages/mails/order_placed").text
    own_words(app, editor, RECEIVED, text_en="Got %(code)s", seen_en=1)
    path = f"/en/operator/pages/sentences/mail/{RECEIVED.key}"
    page = editor.get(path).text
    assert "We have order" in page
    assert WHY in page
    with app.app_context():
        first = db.session.scalars(select(Saying.id).order_by(Saying.id)).first()
    again = editor.get(f"{path}?again={first}").text
    assert re.search(r'<textarea[^>]*id="text_en"[^>]*>\s*We have order', again)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_mail_can_be_looked_at(app: Flask, editor: FlaskClient, lang: str) -> None:
    listed = editor.get(f"/{lang}/operator/pages/mails").text
    for each in sentences.mail_kinds():
        assert f"/{lang}/operator/pages/mails/{each.kind}" in listed
    for kind in ("order_placed", "attestation", "monthly_report", sentences.FRAME):
        page = editor.get(f"/{lang}/operator/pages/mails/{kind}")
        assert page.status_code == 200
    for place in ("attestation", "home"):
        page = editor.get(f"/{lang}/operator/pages/sentences/{place}")
        assert page.status_code == 200
        assert f'<a href="/{lang}/operator/pages" aria-current="true">' in page.text


def test_most_mails_have_an_example(app: Flask) -> None:
    """A mail that leads to figures of its own has none; its sentences are listed all the same."""
    kinds, without = sentences.mail_kinds(), set()
    with app.test_request_context("/en/"):
        for each in kinds:
            assert sentences.of_mail(each.kind), each
            if examples.letter(each.kind) is None:
                without.add(each.kind)
    assert len(without) <= len(kinds) // 10, without


def test_a_page_asks_the_database_once_more_at_most(app: Flask, client: FlaskClient) -> None:
    from sqlalchemy import event

    for path in ("/en/units", "/en/"):
        client.get(path)
    asked: list[str] = []
    with app.app_context():
        engine = db.engine
    event.listen(engine, "before_cursor_execute", lambda *args: asked.append(args[2]))
    client.get("/en/units")
    assert len([each for each in asked if "page_version" in each]) == 1
    assert not [each for each in asked if "saying" in each]
    asked.clear()
    client.get("/en/")
    assert len([each for each in asked if "saying" in each]) == 1


def test_two_processes_see_each_others_words(app: Flask, editor: FlaskClient) -> None:
    """What is kept is read anew as soon as there is more."""
    own_words(app, editor, RECEIVED, text_en="We have order %(code)s")
    with app.app_context():
        assert sayings.in_force("mail")
        with unit_of_work() as session:
            session.add(
                Saying(
                    place="mail",
                    key=RECEIVED.key,
                    msgid=RECEIVED.msgid,
                    lang="en",
                    number=2,
                    text="Got %(code)s",
                    reason=WHY,
                    author="other",
                    at=examples.NOW,
                )
            )
        assert sayings.in_force("mail")["en", RECEIVED.msgid][0] == "Got %(code)s"
