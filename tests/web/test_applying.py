"""Applying, and the desk that decides: pages, bad input, documents, what nobody else may see."""

from __future__ import annotations

import io
import zlib
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from PIL import Image
from sqlalchemy import select

from cnn_offset.domain.status import ApplicationStatus, ProposalStatus
from cnn_offset.extensions import db, platform, unit_of_work
from cnn_offset.models import (
    AccountActivity,
    Activity,
    Application,
    Proof,
    Proposal,
    Provider,
    RegistryAccount,
    User,
)
from cnn_offset.proofs import LARGEST, read_document
from cnn_offset.services import ServiceError
from cnn_offset.services.applying import PENDING_ACCOUNT
from cnn_offset.wording import SHIPPED_TERMS
from tests.factories import make_activity, make_provider
from tests.web.people import PASSWORD, add_person, log_in, post, token
from tests.web.test_account import newest_link

ADA = "ada@example.org"
OPERATOR = "op@example.org"
PDF = b"%PDF-1.7\n1 0 obj<<>>endobj\ntrailer<<>>\n%%EOF\n"
GOOD = {
    "role": "holder",
    "organisation": "Baobab Énergie",
    "country": "SN",
    "address": "1 Avenue du Sahel\r\nDakar",
    "website": "baobab.example",
    "registry": "cdm",
    "account": "PHA-77",
    "activities": "90041, 90042\n90041",
    "terms": "yes",
}


def picture(kind: str = "JPEG", size: tuple[int, int] = (60, 40)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, "green").save(file, kind, comment=b"secret place")
    return file.getvalue()


@pytest.fixture
def ada(app: Flask) -> FlaskClient:
    add_person(app, ADA)
    return log_in(app, ADA)


@pytest.fixture
def desk(app: Flask) -> FlaskClient:
    add_person(app, OPERATOR, "operator")
    return log_in(app, OPERATOR)


def apply(client: FlaskClient, *files: tuple[bytes, str], lang: str = "en", **changes: str) -> Any:
    sent = files or ((PDF, "moc.pdf"),)
    return post(
        client,
        f"/{lang}/apply/form",
        **{**GOOD, **changes},
        proofs=[(io.BytesIO(data), name) for data, name in sent],
    )


def the_application(app: Flask) -> Application:
    with app.app_context():
        return db.session.scalars(select(Application).order_by(Application.id.desc())).first()


def rows(app: Flask, kind: Any) -> list[Any]:
    with app.app_context():
        return list(db.session.scalars(select(kind)))


@pytest.mark.parametrize("lang", ["en", "fr", "es"])
def test_everybody_reads_who_may_apply(client: FlaskClient, lang: str) -> None:
    answer = client.get(f"/{lang}/apply")
    assert answer.status_code == 200
    assert answer.text.count("<h1") == 1
    assert f"/{lang}/account/login?next=/{lang}/apply/form" in answer.text


def test_strangers_log_in_first_and_come_back(client: FlaskClient) -> None:
    answer = client.get("/en/apply/form")
    assert answer.headers["Location"] == "/en/account/login?next=/en/apply/form"


def test_registering_leads_back_to_applying(app: Flask, client: FlaskClient) -> None:
    wanted = "/es/apply/form"
    assert f"register?next={wanted}" in client.get("/es/apply").text
    assert f"register?next={wanted}" in client.get(f"/es/account/login?next={wanted}").text
    asked = post(client, f"/es/account/register?next={wanted}", email=ADA, password=PASSWORD)
    assert asked.headers["Location"] == f"/es/account/login?next={wanted}"
    confirmed = post(client, newest_link(app), password=PASSWORD)
    assert confirmed.headers["Location"] == wanted
    assert client.get(wanted).status_code == 200


def test_registering_leads_nowhere_else(app: Flask, client: FlaskClient) -> None:
    post(client, "/en/account/register?next=//evil.example", email=ADA, password=PASSWORD)
    confirmed = post(client, newest_link(app), password=PASSWORD)
    assert confirmed.headers["Location"] == "/en/account"


@pytest.mark.parametrize("lang", ["en", "fr", "es"])
def test_from_application_to_workspace(app: Flask, ada: FlaskClient, lang: str) -> None:
    with app.app_context():
        known = make_activity(ref="90041").id
        db.session.commit()
    assert ada.get(f"/{lang}/apply/form").status_code == 200
    assert apply(ada, lang=lang).headers["Location"] == f"/{lang}/apply/application"
    page = ada.get(f"/{lang}/apply/application").text
    assert "Baobab Énergie" in page
    assert "moc.pdf" in page
    made = the_application(app)
    assert (made.locale, made.terms_version) == (lang, SHIPPED_TERMS[0])
    assert made.address == "1 Avenue du Sahel\nDakar"
    assert made.website == "https://baobab.example"
    assert made.activities == ["90041", "90042"]
    # The form leads to what was sent already.
    assert ada.get(f"/{lang}/apply/form").status_code == 302
    assert f"/{lang}/apply/application" in ada.get(f"/{lang}/apply").text

    add_person(app, OPERATOR, "operator")
    desk = log_in(app, OPERATOR)
    at = f"/{lang}/operator/applications"
    assert "Baobab Énergie" in desk.get(at).text
    page = desk.get(f"{at}/{made.id}").text
    assert f'value="{known}" checked' in page
    assert f"{lang}/operator/activities/new?registry=cdm&amp;ref=90042" in page
    assert post(desk, f"{at}/{made.id}/ask", question="Who signs?").status_code == 302
    assert "Who signs?" in ada.get(f"/{lang}/apply/application").text
    answered = post(ada, f"/{lang}/apply/application/answer", text="I do.")
    assert answered.status_code == 302
    assert "I do." in desk.get(f"{at}/{made.id}").text
    approved = post(desk, f"{at}/{made.id}/approve", activity=known)
    assert approved.headers["Location"] == f"/{lang}/operator/providers/baobab-energie"
    approve_mapping(app, lang)
    assert "90041" in desk.get(approved.headers["Location"]).text
    assert f"/{lang}/provider" in ada.get(f"/{lang}/apply/application").text
    home = ada.get(f"/{lang}/provider")
    assert home.status_code == 200
    assert "Baobab Énergie" in home.text
    # Whoever is staff does not apply again.
    assert ada.get(f"/{lang}/apply/form").headers["Location"] == f"/{lang}/provider"
    assert apply(ada, lang=lang).status_code == 302
    assert len(rows(app, Application)) == 1


def test_a_focal_point_needs_no_account_number(app: Flask, ada: FlaskClient) -> None:
    assert apply(ada, role="focal_point", account="").status_code == 302
    assert the_application(app).account_ref == PENDING_ACCOUNT


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"role": ""}, "role"),
        ({"role": "board"}, "role"),
        ({"organisation": " "}, "organisation"),
        ({"organisation": "x" * 201}, "organisation"),
        ({"organisation": "a\u202eb"}, "organisation"),
        ({"country": "XX"}, "country"),
        ({"address": ""}, "address"),
        ({"address": "x" * 501}, "address"),
        ({"website": "javascript:alert(1)"}, "website"),
        ({"website": "http://"}, "website"),
        ({"registry": "swiss"}, "registry"),
        ({"account": ""}, "account"),
        ({"account": "x" * 81}, "account"),
        ({"account": "PHA\x00"}, "account"),
        ({"activities": ""}, "activities"),
        ({"activities": "wind farm"}, "activities"),
        ({"activities": " ".join(str(n) for n in range(51))}, "activities"),
        ({"terms": ""}, "terms"),
    ],
)
def test_what_is_wrong_comes_back(
    app: Flask, ada: FlaskClient, wrong: dict[str, str], field: str
) -> None:
    answer = apply(ada, **wrong)
    assert answer.status_code == 422
    assert f'href="#{field}"' in answer.text
    assert answer.text.count('<li><a href="#') == 1
    if field != "organisation":
        assert "Baobab Énergie" in answer.text, "what was typed is kept"
    assert rows(app, Application) == []


@pytest.mark.parametrize("role", ["participant", "annex_i"])
def test_who_cannot_apply_is_told_why(app: Flask, ada: FlaskClient, role: str) -> None:
    answer = post(ada, "/en/apply/form", role=role)
    assert answer.status_code == 422
    assert "permanent holding account" in answer.text
    assert answer.text.count('<li><a href="#') == 1, "nothing else matters then"
    assert rows(app, Application) == []


def test_a_closed_registry_is_not_offered(make_app: Any) -> None:
    registries = {
        "cdm": {
            "connector": "cdm",
            "base_url": "http://127.0.0.1:1/cdm",
            "token": "t",
            "closed": "2026-01-01T00:00:00Z",
        },
        "a64_interim": {"connector": "a64_interim", "base_url": "http://127.0.0.1:1/i", "token": "t"},
    }  # fmt: skip
    app = make_app(REGISTRIES=registries)
    add_person(app, ADA)
    ada = log_in(app, ADA)
    assert 'value="cdm"' not in ada.get("/en/apply/form").text
    assert apply(ada, registry="cdm").status_code == 422


BOMB = (
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\xc3\x50\x00\x00\xc3\x50\x08\x02\x00\x00\x00"
    + zlib.crc32(b"IHDR\x00\x00\xc3\x50\x00\x00\xc3\x50\x08\x02\x00\x00\x00").to_bytes(4, "big")
    + b"\x00" * 40
)


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"", "empty.pdf"),
        (b"%PDF-1.7 cut off", "cut.pdf"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'><script>1</script></svg>", "a.svg"),
        (b"MZ\x90\x00", "letter.pdf"),
        (b"<html>", "a.jpg"),
        (b"GIF89a", "a.gif"),
        (b"\xff\xd8\xff\xe0 broken", "a.jpg"),
        (BOMB, "bomb.png"),
        (PDF + b"0" * LARGEST, "large.pdf"),
    ],
)
def test_bad_documents(app: Flask, ada: FlaskClient, data: bytes, name: str) -> None:
    answer = apply(ada, (data, name))
    assert answer.status_code == 422
    assert 'href="#proofs"' in answer.text
    assert name in answer.text
    assert rows(app, Application) == rows(app, Proof) == []
    assert not platform_files(app)


def platform_files(app: Flask) -> list[str]:
    with app.app_context():
        files = platform().files
        return list(files.ls("proofs", detail=False)) if files.exists("proofs") else []


def test_number_of_documents(app: Flask, ada: FlaskClient) -> None:
    assert post(ada, "/en/apply/form", **GOOD).status_code == 422
    six = [(PDF + b"%d %%%%EOF" % n, f"{n}.pdf") for n in range(6)]
    assert apply(ada, *six).status_code == 422
    assert apply(ada, *six[:5]).status_code == 302
    assert len(rows(app, Proof)) == 5


def test_a_document_is_what_its_bytes_are(app: Flask, ada: FlaskClient) -> None:
    jpeg, png = picture(), picture("PNG", (40, 60))
    assert b"secret place" in jpeg
    files = ((PDF, "..\\..\\letter.jpg"), (jpeg, "plan.pdf"), (png, "né\u202e\x00.png"))
    assert apply(ada, *files).status_code == 302
    pdf, first, second = rows(app, Proof)
    assert (pdf.filename, pdf.content_type) == ("letter.pdf", "application/pdf")
    assert first.filename.startswith("plan.")
    assert first.content_type.startswith("image/")
    assert second.filename.startswith("document.")
    with app.app_context():
        kept = [platform().files.cat_file(each.path) for each in (pdf, first)]
    assert kept[0] == PDF
    assert b"secret place" not in kept[1], "only the pixels stay"


def test_five_large_documents_fit(app: Flask, ada: FlaskClient) -> None:
    big = [(PDF[:-6] + bytes([65 + n]) * (9 << 20) + b"\n%%EOF", f"{n}.pdf") for n in range(5)]
    assert apply(ada, *big).status_code == 302
    # A stranger is not listened to for so long.
    stranger = app.test_client()
    data = {"csrf_token": token(stranger), "proofs": (io.BytesIO(big[0][0]), "a.pdf")}
    assert stranger.post("/en/apply/form", data=data).status_code == 413


def test_documents_are_handed_out_as_downloads(
    app: Flask, ada: FlaskClient, desk: FlaskClient
) -> None:
    apply(ada, (PDF, 'm"o;c é.pdf'))
    (proof,) = rows(app, Proof)
    add_person(app, "eve@example.org")
    eve = log_in(app, "eve@example.org")
    for client, path in (
        (ada, f"/en/apply/proofs/{proof.id}"),
        (desk, f"/en/operator/proofs/{proof.id}"),
    ):
        answer = client.get(path)
        assert answer.data == PDF
        assert answer.headers["Content-Disposition"].startswith("attachment; filename")
        assert answer.headers["Content-Type"] == "application/pdf"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "sandbox" in answer.headers["Content-Security-Policy"]
        assert answer.headers["Cache-Control"] == "no-store"
        assert eve.get(path).status_code == 404
        assert app.test_client().get(path).status_code == 302
    for odd in ("0", "-1", "x", "9" * 30, "%00", str(proof.id + 1)):
        assert ada.get(f"/en/apply/proofs/{odd}").status_code == 404
        assert desk.get(f"/en/operator/proofs/{odd}").status_code == 404


def test_without_an_application_there_is_no_page(app: Flask, ada: FlaskClient) -> None:
    assert ada.get("/en/apply/application").status_code == 404
    for verb in ("answer", "withdraw"):
        assert post(ada, f"/en/apply/application/{verb}", text="?").status_code == 404


def test_answers_documents_and_withdrawing(app: Flask, ada: FlaskClient) -> None:
    apply(ada)
    at = "/en/apply/application"
    assert post(ada, f"{at}/answer", text=" ").status_code == 422
    assert post(ada, f"{at}/answer", text="x" * 5001).status_code == 422
    bad = post(ada, f"{at}/answer", text="Look", proofs=(io.BytesIO(b"MZ"), "a.pdf"))
    assert bad.status_code == 422
    assert "Look" in bad.text
    more = post(ada, f"{at}/answer", proofs=(io.BytesIO(PDF + b"2%%EOF"), "two.pdf"))
    assert more.status_code == 302
    assert [each.filename for each in rows(app, Proof)] == ["moc.pdf", "two.pdf"]
    said = post(ada, f"{at}/answer", text="<script>alert(1)</script>\nnext line")
    assert said.status_code == 302
    page = ada.get(at).text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;<br>next line" in page
    assert post(ada, f"{at}/withdraw").status_code == 302
    assert the_application(app).status is ApplicationStatus.WITHDRAWN
    # Too late now, and said so.
    assert post(ada, f"{at}/answer", text="but").status_code == 422
    assert apply(ada).status_code == 302
    assert len(rows(app, Application)) == 2


def test_operators_do_not_apply(app: Flask, desk: FlaskClient) -> None:
    assert desk.get("/en/apply/form").status_code == 302
    assert apply(desk).status_code == 302
    assert rows(app, Application) == []


def test_refusing_needs_a_reason(app: Flask, ada: FlaskClient, desk: FlaskClient) -> None:
    apply(ada)
    at = f"/en/operator/applications/{the_application(app).id}"
    assert post(desk, f"{at}/refuse", reason=" ").status_code == 422
    assert post(desk, f"{at}/ask", question="").status_code == 422
    assert post(desk, f"{at}/refuse", reason="No proof.").status_code == 302
    assert "No proof." in ada.get("/en/apply/application").text
    late = post(desk, f"{at}/approve")
    assert late.status_code == 422
    assert "decided already" in late.text
    assert rows(app, Provider) == []
    assert "Baobab" in desk.get("/en/operator/applications?status=refused").text
    assert "Baobab" not in desk.get("/en/operator/applications").text
    assert "Baobab" in desk.get("/en/operator/applications?status=all").text


def test_odd_ids_at_the_desk(app: Flask, ada: FlaskClient, desk: FlaskClient) -> None:
    apply(ada)
    for odd in ("0", "x", "9" * 30, "77"):
        at = f"/en/operator/applications/{odd}"
        assert desk.get(at).status_code == 404
        for verb in ("ask", "refuse", "approve"):
            assert post(desk, f"{at}/{verb}", question="?", reason="?").status_code == 404
    assert desk.get("/en/operator/applications?status=odd&before=x").status_code == 200
    # Others find no desk at all.
    assert ada.get("/en/operator/applications").status_code == 404


def test_approving_twice_and_what_was_not_asked_for(
    app: Flask, ada: FlaskClient, desk: FlaskClient
) -> None:
    with app.app_context():
        other = make_activity(ref="77777").id
        db.session.commit()
    apply(ada)
    at = f"/en/operator/applications/{the_application(app).id}"
    for _ in range(2):
        answer = post(desk, f"{at}/approve", activity=str(other))
        assert answer.headers["Location"] == "/en/operator/providers/baobab-energie"
    assert len(rows(app, Provider)) == len(rows(app, RegistryAccount)) == 1
    assert rows(app, AccountActivity) == []


REGISTER = {
    "registry": "cdm",
    "ref": "poa-99",
    "kind": "poa",
    "title_en": "Baobab cookstoves",
    "title_fr": "Foyers du Baobab",
    "title_es": "Cocinas del Baobab",
    "host": "SN",
    "scope": "3",
    "technology": "cookstoves",
    "methodology": "AMS-II.G",
    "start": "2015-01-01",
    "end": "2021-12-31",
    "page": "https://registry.example/poa/99",
}


def test_registering_a_project(app: Flask, desk: FlaskClient) -> None:
    assert desk.get("/en/operator/activities/new?registry=cdm&ref=99").status_code == 200
    answer = post(desk, "/fr/operator/activities/new", **REGISTER)
    assert answer.headers["Location"] == "/fr/operator/activities"
    (made,) = rows(app, Activity)
    assert (made.ref, made.slug, made.scope) == ("POA-99", "baobab-cookstoves", 3)
    assert made.title == {
        "en": "Baobab cookstoves",
        "fr": "Foyers du Baobab",
        "es": "Cocinas del Baobab",
    }
    assert made.changed_at is not None
    for lang in ("en", "fr", "es"):
        assert desk.get(f"/{lang}/operator/activities?q=99").status_code == 200
        assert desk.get(f"/{lang}/projects/{made.slug}").status_code == 200
    assert "Baobab" in desk.get("/en/operator/activities?q=poa-99&registry=cdm").text
    assert "Baobab" not in desk.get("/en/operator/activities?q=nothing").text
    # The same once more is refused; a namesake gets an address of its own.
    assert post(desk, "/en/operator/activities/new", **REGISTER).status_code == 422
    assert post(desk, "/en/operator/activities/new", **{**REGISTER, "ref": "98"}).status_code == 302
    assert [each.slug for each in rows(app, Activity)] == [
        "baobab-cookstoves",
        "baobab-cookstoves-98-cdm",
    ]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"registry": "x"}, "registry"),
        ({"ref": ""}, "ref"),
        ({"ref": "no number"}, "ref"),
        ({"ref": "1 2"}, "ref"),
        ({"kind": "x"}, "kind"),
        ({"title_fr": ""}, "title_fr"),
        ({"title_es": "x" * 121}, "title_es"),
        ({"host": "XX"}, "host"),
        ({"scope": "17"}, "scope"),
        ({"technology": "magic"}, "technology"),
        ({"methodology": ""}, "methodology"),
        ({"start": "01/02/2015"}, "start"),
        ({"end": "2014-12-31"}, "end"),
        ({"page": "ftp://x.example"}, "page"),
    ],
)
def test_a_project_registered_wrongly(
    app: Flask, desk: FlaskClient, wrong: dict[str, str], field: str
) -> None:
    answer = post(desk, "/en/operator/activities/new", **{**REGISTER, **wrong})
    assert answer.status_code == 422
    assert f'href="#{field}"' in answer.text
    assert "Baobab cookstoves" in answer.text
    assert rows(app, Activity) == []


def test_registering_leads_back_to_the_application(app: Flask, desk: FlaskClient) -> None:
    answer = post(desk, "/en/operator/activities/new", **REGISTER, application="5")
    assert answer.headers["Location"] == "/en/operator/applications/5"


@pytest.fixture
def provider(app: Flask) -> str:
    with app.app_context():
        made = make_provider(name="Rift & Lake")
        make_activity(ref="90041")
        make_activity(ref="90042", registry_id="a64_interim")
        db.session.commit()
        return made.slug


def approve_mapping(app: Flask, lang: str = "en") -> None:
    """Have a second operator approve what was asked for last."""
    email = f"second{len(rows(app, User))}@example.org"
    add_person(app, email, "operator")
    second = log_in(app, email)
    proposal = rows(app, Proposal)[-1]
    at = f"/{lang}/operator/proposals/{proposal.id}"
    assert "90041" in second.get(at).text
    assert post(second, f"{at}/approve").status_code == 302
    assert rows(app, Proposal)[-1].status is ProposalStatus.APPROVED


def test_mapping_at_the_desk(app: Flask, desk: FlaskClient, provider: str) -> None:
    at = f"/en/operator/providers/{provider}"
    assert "Rift &amp; Lake" in desk.get("/en/operator/providers?q=lake").text
    assert "Rift" not in desk.get("/en/operator/providers?q=zzz").text
    account = {"registry": "cdm", "kind": "permanent", "account": "PHA-1"}
    assert post(desk, f"{at}/accounts", **{**account, "account": ""}).status_code == 422
    assert post(desk, f"{at}/accounts", **{**account, "kind": "x"}).status_code == 422
    assert post(desk, f"{at}/accounts", **account).status_code == 302
    (opened,) = rows(app, RegistryAccount)
    for lang in ("en", "fr", "es"):
        assert "PHA-1" in desk.get(f"/{lang}/operator/providers/{provider}").text
    mapped = {"account_id": opened.id, "ref": " 90041 ", "why": "focal point by MoC"}
    assert post(desk, f"{at}/map", **{**mapped, "why": " "}).status_code == 422
    assert post(desk, f"{at}/map", **{**mapped, "ref": ""}).status_code == 422
    assert post(desk, f"{at}/map", **{**mapped, "ref": "123"}).status_code == 422
    # Of another registry.
    assert post(desk, f"{at}/map", **{**mapped, "ref": "90042"}).status_code == 422
    assert post(desk, f"{at}/map", **{**mapped, "account_id": 99}).status_code == 404
    assert post(desk, f"{at}/map", **{**mapped, "account_id": "x"}).status_code == 404
    assert post(desk, f"{at}/map", **mapped).status_code == 302
    assert post(desk, f"{at}/map", **mapped).status_code == 422, "asked for already"
    assert rows(app, AccountActivity) == [], "another operator must approve it"
    approve_mapping(app)
    (made,) = rows(app, AccountActivity)
    assert post(desk, f"{at}/map", **mapped).status_code == 422, "mapped already"
    change = f"{at}/mappings/{made.id}"
    for lang in ("en", "fr", "es"):
        page = desk.get(f"/{lang}/operator/providers/{provider}/mappings/{made.id}").text
        assert "allow_partial" in page
        assert "end_partial" not in page
    assert post(desk, change, wanted="end_partial", reason="x").status_code == 422
    assert post(desk, change, wanted="allow_partial", reason="").status_code == 422
    assert post(desk, change, wanted="allow_partial", reason="EB 96").status_code == 302
    assert post(desk, change, wanted="unmap", reason="sold").status_code == 422
    approve_mapping(app)
    assert rows(app, AccountActivity)[0].allows_partial
    assert "end_partial" in desk.get(change).text
    assert post(desk, change, wanted="unmap", reason="sold").status_code == 302
    approve_mapping(app)
    assert rows(app, AccountActivity) == []
    assert desk.get(change).status_code == 404
    assert post(desk, f"{at}/accounts", registry="cdm", kind="pending").status_code == 302
    assert PENDING_ACCOUNT in {each.account_ref for each in rows(app, RegistryAccount)}
    assert desk.get("/en/operator/providers/nobody").status_code == 404
    assert post(desk, "/en/operator/providers/nobody/map", **mapped).status_code == 404


def test_an_account_of_another_providers(app: Flask, desk: FlaskClient, provider: str) -> None:
    with app.app_context():
        other = make_provider().slug
        db.session.commit()
    account = {"registry": "cdm", "kind": "permanent", "account": "PHA-1"}
    assert post(desk, f"/en/operator/providers/{provider}/accounts", **account).status_code == 302
    (opened,) = rows(app, RegistryAccount)
    at = f"/en/operator/providers/{other}"
    assert post(desk, f"{at}/accounts", **account).status_code == 422
    assert post(desk, f"{at}/map", account_id=opened.id, ref="90041", why="x").status_code == 404


def test_waiting_applications_are_counted(app: Flask, ada: FlaskClient, desk: FlaskClient) -> None:
    assert 'class="count">' not in desk.get("/en/operator/orders").text.split('class="ways')[1]
    apply(ada)
    assert 'class="count">1<' in desk.get("/en/operator/orders").text


def test_names_of_documents() -> None:
    for odd in ("", "../../etc/passwd", "a" * 300, "con<>:|?*.pdf", "\x00", "…"):
        name = read_document(PDF, odd).filename
        assert name.endswith(".pdf")
        assert 4 < len(name) <= 104
        assert not set(name) & set('/\\<>:"|?*;%\x00\n')
    with pytest.raises(ServiceError):
        read_document(b" " + PDF, "a.pdf")


def test_an_applicant_whose_account_is_staff_now(app: Flask, ada: FlaskClient) -> None:
    apply(ada)
    with app.app_context(), unit_of_work() as session:
        user = session.scalars(select(User).where(User.email == ADA)).one()
        user.provider_id = make_provider().id
    assert ada.get("/en/apply/application").status_code == 200
