"""The sentences of mails, the attestation and the front page, in operators' words."""

from __future__ import annotations

from itertools import groupby
from typing import Any, Final

from flask import Response, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_security import current_user

from cnn_offset import sayings, sentences
from cnn_offset.attestations import issuer, unprintable
from cnn_offset.blueprints.admin import pages
from cnn_offset.blueprints.admin.desk import bp
from cnn_offset.blueprints.home import front_page
from cnn_offset.domain.staff import DeskDuty
from cnn_offset.domain.text import clean_prose
from cnn_offset.extensions import db, platform, unit_of_work
from cnn_offset.guards import operator_may
from cnn_offset.i18n import LANGUAGES, language
from cnn_offset.i18n import number as number_text
from cnn_offset.mail import examples
from cnn_offset.sayings import ATTESTATION, HOME, MAIL, Said
from cnn_offset.services import ServiceError, rephrasing
from cnn_offset.services.rephrasing import Sentence
from cnn_offset.typed import Typed
from cnn_offset.web import as_download, row_id

PART_OF: Final = pages.__name__
SHOWN: Final = 30


@bp.get("/operator/pages/mails")
def mails() -> ResponseReturnValue:
    """List the kinds of mail by area, and how many sentences of each are our own."""
    own = {msgid for _lang, msgid in sayings.in_force(MAIL)}
    listed = [
        (
            sentences.AREAS.get(area, area),
            [
                (each.kind, _name(found[0]), sum(one.msgid in own for one in found))
                for each in kinds
                if (found := sentences.of_mail(each.kind))
            ],
        )
        for area, kinds in groupby(sentences.mail_kinds(), key=lambda each: each.area)
    ]
    return render_template("admin/pages_mails.html", areas=listed, frame=sentences.FRAME)


def _name(first: Sentence) -> str:
    """Return what a mail is known by: its first sentence, as a rule its subject."""
    return sayings.shipped(first, language())[0]


@bp.get("/operator/pages/mails/<mail_kind>")
def mail(mail_kind: str) -> ResponseReturnValue:
    """Show what a mail says in three languages, and what it looks like."""
    found = sentences.of_mail(mail_kind)
    with sayings.speaking(MAIL):
        letter = examples.letter(mail_kind)
    return render_template(
        "admin/pages_sentences.html",
        place=MAIL,
        mail_kind=mail_kind,
        heading=gettext("The frame of all mails")
        if mail_kind == sentences.FRAME
        else _name(found[0]),
        rows=_rows(MAIL, found),
        letter=letter,
    )


@bp.get("/operator/pages/sentences/<place>")
def sentences_of(place: str) -> ResponseReturnValue:
    """Show what the attestation or the front page says in three languages."""
    return render_template(
        "admin/pages_sentences.html",
        place=place,
        mail_kind="",
        heading=_heading(place),
        rows=_rows(place, sentences.of_place(place)),
        letter=None,
    )


def _heading(place: str) -> str:
    return str(gettext("Attestation") if place == ATTESTATION else gettext("Front page"))


def _rows(
    place: str, found: tuple[Sentence, ...]
) -> list[tuple[Sentence, list[tuple[str, tuple[str, str], bool]]]]:
    """Return each sentence with its words by language, and whether they are our own."""
    own = sayings.in_force(place)
    return [
        (
            each,
            [
                (
                    lang,
                    own.get((lang, each.msgid)) or sayings.shipped(each, lang),
                    (lang, each.msgid) in own,
                )
                for lang in LANGUAGES
            ],
        )
        for each in found
    ]


@bp.get("/operator/pages/attestation.pdf")
def attestation_preview() -> ResponseReturnValue:
    """Hand out an attestation of nothing in the language of the address, with a watermark."""
    return _pdf({})


def _pdf(instead: Said) -> Response:
    with sayings.speaking(ATTESTATION, instead=instead):
        made = issuer().preview(examples.attestation(language()))
    return as_download(made, "preview.pdf", "application/pdf")


@bp.get("/operator/pages/sentences/<place>/<key>")
def sentence(place: str, key: str) -> ResponseReturnValue:
    """Show a sentence's words in three languages, to be changed, and all there were."""
    found = sentences.find(place, key)
    typed = Typed(request.form)
    again = request.args.get("again", type=row_id)
    for each in rephrasing.history(db.session(), place, key, limit=SHOWN) if again else ():
        if each.id == again and each.text:
            typed.values |= {f"text_{each.lang}": each.text, f"plural_{each.lang}": each.plural}
    return _form(place, found, typed)


def _form(
    place: str, found: Sentence, typed: Typed, tried: Said | None = None
) -> ResponseReturnValue:
    known = rephrasing.current(db.session(), place, found.key)
    values: dict[str, str] = {}
    for lang in LANGUAGES:
        now = known.get(lang)
        text, plural = (now.text, now.plural) if now and now.text else sayings.shipped(found, lang)
        values |= {f"text_{lang}": text, f"plural_{lang}": plural}
    kind = request.values.get("mail_kind", "")
    used_in = sentences.mails_with(found) if place == MAIL else []
    page = render_template(
        "admin/pages_sentence.html",
        place=place,
        sentence=found,
        heading=gettext("Mails") if place == MAIL else _heading(place),
        shipped={lang: sayings.shipped(found, lang) for lang in LANGUAGES},
        seen={lang: known[lang].number if lang in known else 0 for lang in LANGUAGES},
        values={**values, **typed.values},
        errors=typed.errors,
        used_in=used_in,
        mail_kind=kind if kind in used_in else "",
        letter=_letter(kind, used_in, tried) if tried is not None and used_in else None,
        tried=tried is not None,
        history=rephrasing.history(db.session(), place, found.key, limit=SHOWN),
    )
    return page, 422 if typed.errors else 200


def _letter(kind: str, used_in: list[str], tried: Said) -> Any:
    with sayings.speaking(MAIL, instead=tried):
        return examples.letter(kind if kind in used_in else used_in[0])


@bp.post("/operator/pages/sentences/<place>/<key>")
@operator_may(DeskDuty.TEXTS)
def save_sentence(place: str, key: str) -> ResponseReturnValue:
    """Try other words out, or say them from now on."""
    found = sentences.find(place, key)
    typed, words = _read(place, found)
    tried: Said = {
        (lang, found.msgid): forms if forms[0] else sayings.shipped(found, lang)
        for lang, forms in words.items()
    }
    if not typed.errors and request.form.get("act") == "try":
        if place == MAIL:
            return _form(place, found, typed, tried)
        return front_page(tried) if place == HOME else _pdf(tried)
    if not typed.errors:
        try:
            _publish(place, found, words, typed.values["reason"])
        except ServiceError as error:
            field = "reason" if isinstance(error, rephrasing.ReasonError) else ""
            typed.errors[field] = gettext(error.message, **error.values)
    if typed.errors:
        return _form(place, found, typed)
    flash(gettext("Saved. It is said like this from now on."), "success")
    if place == MAIL:
        kind = request.form.get("mail_kind", "")
        chosen = kind if kind in (known := sentences.mails_with(found)) else known[0]
        return redirect(url_for("admin.mail", mail_kind=chosen))
    return redirect(url_for("admin.sentences_of", place=place))


def _publish(place: str, found: Sentence, words: dict[str, tuple[str, str]], reason: str) -> None:
    with unit_of_work() as session:
        rephrasing.rephrase(
            session,
            place,
            found,
            words,
            seen={lang: request.form.get(f"seen_{lang}", 0, type=int) for lang in LANGUAGES},
            reason=reason,
            actor=current_user.email,
            now=platform().clock(),
        )


def _read(place: str, found: Sentence) -> tuple[Typed, dict[str, tuple[str, str]]]:
    """Read the words by language; the shipped ones, and none at all, are read as empty."""
    typed, words = Typed(request.form), {}
    typed.values["reason"] = request.form.get("reason", "")
    for lang in LANGUAGES:
        forms = (_line(typed, f"text_{lang}"), _line(typed, f"plural_{lang}"))
        usual = sayings.shipped(found, lang)
        if forms in (usual, ("", "")):
            words[lang] = ("", "")
            typed.values |= {f"text_{lang}": usual[0], f"plural_{lang}": usual[1]}
            continue
        words[lang] = forms
        try:
            rephrasing.check_words(found, *forms)
        except ServiceError as error:
            typed.errors[f"text_{lang}"] = gettext(error.message, **error.values)
        missing = unprintable("".join(forms)) if place == ATTESTATION else []
        if missing:
            typed.errors[f"text_{lang}"] = gettext(
                "The attestation’s fonts have no shape for: %(signs)s", signs=" ".join(missing)
            )
    return typed, words


def _line(typed: Typed, name: str) -> str:
    text = " ".join(clean_prose(request.form.get(name, "")).split("\n"))
    typed.values[name] = text
    if len(text) > rephrasing.LONGEST:
        typed.errors[name] = gettext(
            "Please write at most %(n)s letters; these are %(many)s.",
            n=number_text(rephrasing.LONGEST, language()),
            many=number_text(len(text), language()),
        )
    return text
