"""The explaining pages: drafts in three languages, previews, publishing, every version."""

from __future__ import annotations

from typing import Any, Final

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_security import current_user

from cnn_offset import wording as shown
from cnn_offset.blueprints.admin.desk import bp
from cnn_offset.domain import prose
from cnn_offset.domain.staff import DeskDuty
from cnn_offset.domain.status import PageStatus
from cnn_offset.extensions import db, platform, unit_of_work
from cnn_offset.guards import operator_may
from cnn_offset.i18n import LANGUAGES, language
from cnn_offset.i18n import number as number_text
from cnn_offset.models import PageVersion
from cnn_offset.services import NotFoundError, ServiceError, reviewing, wording
from cnn_offset.typed import Typed
from cnn_offset.web import row_id

SHOWN: Final = 50
SHIPPED: Final = "shipped"
COMPARED: Final = 30_000
"""Characters up to which two parts are compared word by word; above, as wholes."""
_PAGE: Final = "/operator/pages/<page>"
_VERSION: Final = f"{_PAGE}/versions/<int(max={2**31 - 1}):version_number>"


@bp.get("/operator/pages")
def pages() -> ResponseReturnValue:
    """List the pages, and the ways to mails, attestation and front page."""
    return render_template(
        "admin/pages.html", pages=shown.PAGES, known=wording.newest(db.session())
    )


@bp.get(_PAGE)
def page(page: str) -> ResponseReturnValue:
    """Show a page's versions, and what can be done."""
    found = wording.history(
        db.session(), _known(page), before=request.args.get("before", type=row_id), limit=SHOWN + 1
    )
    return render_template(
        "admin/pages_page.html",
        page=page,
        title=shown.PAGES[page],
        versions=found[:SHOWN],
        older=found[SHOWN - 1].number if len(found) > SHOWN else None,
        draft=wording.draft(db.session(), page),
    )


def _known(page: str) -> str:
    if page not in shown.PAGES:
        raise NotFoundError(page)
    return page


@bp.post(f"{_PAGE}/draft")
@operator_may(DeskDuty.TEXTS)
def begin_page(page: str) -> ResponseReturnValue:
    """Begin a draft: of what people read now, of the shipped texts, or of an earlier version."""
    came_from = request.form.get("from", "")
    try:
        with unit_of_work() as session:
            wording.begin_draft(
                session,
                _known(page),
                _texts(page, came_from),
                why=f"from version {came_from}" if came_from else "from what is public",
                actor=current_user.email,
                now=platform().clock(),
            )
    except ServiceError as error:
        flash(gettext(error.message, **error.values), "error")
        return redirect(url_for("admin.page", page=page))
    return redirect(url_for("admin.edit_page", page=page))


def _texts(page: str, came_from: str) -> dict[str, str]:
    if came_from == SHIPPED:
        return dict(shown.shipped(page))
    if not came_from:
        return dict(shown.texts_in_force(page))
    if not came_from.isdecimal() or len(came_from) > 9:
        raise NotFoundError(came_from)
    return dict(wording.version(db.session(), page, int(came_from)).texts)


@bp.route(f"{_PAGE}/edit", methods=["GET", "POST"])
@operator_may(DeskDuty.TEXTS)
def edit_page(page: str) -> ResponseReturnValue:
    """Change the draft; what must be mended before it is published stands with each text."""
    if request.method == "GET":
        return _editor(page)
    typed, texts = _read()
    if not typed.errors:
        try:
            with unit_of_work() as session:
                wording.save_draft(
                    session,
                    _known(page),
                    texts,
                    edition=request.form.get("edition", 0, type=int),
                    actor=current_user.email,
                    now=platform().clock(),
                )
        except ServiceError as error:
            typed.errors[""] = gettext(error.message, **error.values)
    if typed.errors:
        return _editor(page, typed)
    flash(gettext("Saved. Nobody but operators sees it yet."), "success")
    return redirect(url_for("admin.edit_page", page=page))


def _read() -> tuple[Typed, dict[str, str]]:
    typed, texts = Typed(request.form), {}
    for lang in LANGUAGES:
        texts[lang] = typed.values[f"text_{lang}"] = prose.clean(
            request.form.get(f"text_{lang}", "")
        )
        if len(texts[lang]) > prose.LONGEST:
            typed.errors[f"text_{lang}"] = gettext(
                "Please write at most %(n)s letters; these are %(many)s.",
                n=number_text(prose.LONGEST, language()),
                many=number_text(len(texts[lang]), language()),
            )
    return typed, texts


def _editor(page: str, typed: Typed | None = None) -> ResponseReturnValue:
    found = wording.draft(db.session(), _known(page))
    if found is None:
        raise NotFoundError(f"no draft of {page}")
    texts = {f"text_{lang}": found.texts.get(lang, "") for lang in LANGUAGES}
    values = {**texts, **(typed.values if typed else {})}
    theirs = typed is not None and any(values[name] != text for name, text in texts.items())
    answer = render_template(
        "admin/pages_edit.html",
        page=page,
        title=shown.PAGES[page],
        draft=found,
        values=values,
        errors=typed.errors if typed else {},
        # Who was told that somebody else was first sees what that one wrote.
        theirs=texts if theirs and typed and "" in typed.errors else {},
        faults=prose.faults({lang: values[f"text_{lang}"] for lang in LANGUAGES}, LANGUAGES),
        words=sorted(prose.WORDS | prose.BLOCKS),
        links=sorted(prose.LINKS),
    )
    return answer, 422 if typed and typed.errors else 200


@bp.post(f"{_PAGE}/publish")
@operator_may(DeskDuty.TEXTS)
def publish_page(page: str) -> ResponseReturnValue:
    """Show the draft to everybody."""
    typed = Typed(request.form)
    typed.values["reason"] = request.form.get("reason", "")
    try:
        with unit_of_work() as session:
            wording.publish(
                session,
                _known(page),
                edition=request.form.get("edition", 0, type=int),
                reason=typed.values["reason"],
                languages=tuple(LANGUAGES),
                shipped_names=shown.SHIPPED_TERMS,
                actor=current_user.email,
                now=platform().clock(),
            )
    except ServiceError as error:
        field = "reason" if isinstance(error, wording.ReasonError) else ""
        typed.errors[field] = gettext(error.message, **error.values)
        return _editor(page, typed)
    flash(gettext("Published. Everybody reads it from now on."), "success")
    return redirect(url_for("admin.page", page=page))


@bp.post(f"{_PAGE}/discard")
@operator_may(DeskDuty.TEXTS)
def discard_page(page: str) -> ResponseReturnValue:
    """Put the draft away."""
    try:
        with unit_of_work() as session:
            wording.discard(
                session,
                _known(page),
                edition=request.form.get("edition", 0, type=int),
                actor=current_user.email,
                now=platform().clock(),
            )
    except ServiceError as error:
        flash(gettext(error.message, **error.values), "error")
        return redirect(url_for("admin.edit_page", page=page))
    flash(gettext("Discarded. Its texts stay in the list of versions."), "success")
    return redirect(url_for("admin.page", page=page))


@bp.get(_VERSION)
def page_version(page: str, version_number: int) -> ResponseReturnValue:
    """Show a version beside what people read before it."""
    found = wording.version(db.session(), _known(page), version_number)
    before = wording.predecessor(db.session(), found)
    old = before.texts if before else shown.shipped(page)
    return render_template(
        "admin/pages_version.html",
        page=page,
        title=shown.PAGES[page],
        version=found,
        before=before,
        texts=[
            (lang, native, _compared(old.get(lang, ""), found.texts.get(lang, "")))
            for lang, native in LANGUAGES.items()
        ],
        draft=wording.draft(db.session(), page),
    )


def _compared(old: str, new: str) -> list[dict[str, Any]]:
    """Return the parts of both texts that differ, side by side, each under its heading."""
    left, right = _parts(old), _parts(new)
    found = []
    for anchor in [*right, *(each for each in left if each not in right)]:
        one, other = left.get(anchor, ""), right.get(anchor, "")
        if one != other:
            taken, added = (
                reviewing.compared(one, other)
                if len(one) + len(other) <= COMPARED
                else ([(one, True)] if one else [], [(other, True)] if other else [])
            )
            found.append({"old": taken, "new": added})
    return found


def _parts(text: str) -> dict[str, str]:
    """Return the parts of a text by the anchor, or else the words, of their heading."""
    lines = text.split("\n")
    starts = [each.line - 1 for each in prose.headings(text)] or [0]
    if starts[0]:
        starts.insert(0, 0)
    anchors = {each.line - 1: each.anchor for each in prose.headings(text)}
    return {
        anchors.get(start) or lines[start]: "\n".join(lines[start:end]).strip("\n")
        for start, end in zip(starts, [*starts[1:], len(lines)], strict=True)
    }


@bp.get(f"{_VERSION}/preview")
def page_preview(page: str, version_number: int) -> ResponseReturnValue:
    """Show a version exactly as people see it, in the language of the address."""
    found = wording.version(db.session(), _known(page), version_number)
    return render_template(
        "admin/pages_preview.html",
        page=shown.draw(found.texts.get(language(), ""), terms=_name(found)),
        name=page,
        version=found,
    )


def _name(found: PageVersion) -> str:
    if found.status is PageStatus.DRAFT:
        return platform().clock().date().isoformat()
    return found.name
