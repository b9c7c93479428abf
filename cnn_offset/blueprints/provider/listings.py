"""Texts and pictures of the provider's projects, version by version."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping
from typing import Any, Final

from flask import Response, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_security import current_user

from cnn_offset import pictures
from cnn_offset.blueprints.provider.workspace import bp
from cnn_offset.domain.staff import Duty
from cnn_offset.domain.status import ListingStatus
from cnn_offset.domain.text import count_words
from cnn_offset.extensions import db, limiter, platform, unit_of_work
from cnn_offset.guards import staff_may
from cnn_offset.i18n import LANGUAGES, language, number
from cnn_offset.models import Listing, Picture
from cnn_offset.services import ServiceError, describing, listing
from cnn_offset.web import row_id, takes_upload

PAGE: Final = 50
EDITABLE: Final = (ListingStatus.DRAFT, ListingStatus.REFUSED)
_ROOM: Final = 30
"""MB of a form with a picture. More than a picture may have: then we can say so."""
_CHANGES: Final[Mapping[str, Mapping[str, Any]]] = {
    "up": {"by": -1},
    "down": {"by": 1},
    "remove": {"remove": True},
}
"""What the buttons beside a picture do."""
_VERSION: Final = f"/provider/listings/versions/<int(max={2**63 - 1}):listing_id>"
_PICTURE: Final = f"{_VERSION}/pictures/<int(max={2**63 - 1}):picture_id>"


def _ours() -> int:
    return int(current_user.provider_id)


def _who() -> dict[str, Any]:
    return {"actor": current_user.email, "now": platform().clock()}


def _said(error: ServiceError) -> str:
    lang = language()
    values = {
        name: number(value, lang) if isinstance(value, int) else value
        for name, value in error.values.items()
    }
    return str(gettext(error.message, **values))


@bp.get("/provider/listings")
def listings() -> ResponseReturnValue:
    """List the projects whose pages the provider writes, and where each page stands."""
    found = listing.pages(
        db.session(), _ours(), before=request.args.get("before", type=row_id), limit=PAGE + 1
    )
    return render_template(
        "provider/listings.html",
        pages=found[:PAGE],
        older=found[PAGE - 1].activity.id if len(found) > PAGE else None,
        ours=_ours(),
    )


@bp.get("/provider/listings/<slug>")
def listing_page(slug: str) -> ResponseReturnValue:
    """Show where the page of one project stands, and its versions."""
    page = listing.page(db.session(), _ours(), slug)
    return render_template(
        "provider/listing.html",
        page=page,
        versions=listing.history(db.session(), _ours(), page.activity),
        ours=_ours(),
    )


@bp.post("/provider/listings/<slug>/begin")
@staff_may(Duty.LISTINGS)
def listing_begin(slug: str) -> ResponseReturnValue:
    """Begin a version, or go on with the one that is begun."""
    try:
        with unit_of_work() as session:
            found = listing.begin(session, _ours(), slug, **_who()).id
    except ServiceError as error:
        flash(_said(error), "warning")
        return redirect(url_for("provider.listing_page", slug=slug))
    return redirect(url_for("provider.listing_version", listing_id=found))


@bp.get(_VERSION)
def listing_version(listing_id: int) -> ResponseReturnValue:
    """Show a version as it would look, what is missing of it, and what can be done."""
    found = listing.listing(db.session(), _ours(), listing_id)
    return render_template(
        "provider/listing_version.html",
        listing=found,
        missing=describing.missing(found),
        editable=found.status in EDITABLE,
        picture_url=_picture_url,
    )


def _picture_url(picture: Picture, width: int) -> str:
    return url_for(
        "provider.listing_picture",
        listing_id=picture.listing_id,
        picture_id=picture.id,
        width=min(width, picture.widths[-1]),
    )


@bp.get(f"{_VERSION}/texts")
@staff_may(Duty.LISTINGS)
def listing_texts(listing_id: int) -> ResponseReturnValue:
    """Show the form of the texts."""
    found = listing.listing(db.session(), _ours(), listing_id)
    if found.status not in EDITABLE:
        return redirect(url_for("provider.listing_version", listing_id=listing_id))
    return _texts_form(found, _values(found))


def _values(found: Listing) -> dict[str, str]:
    values = {"sd_report_url": found.sd_report_url}
    for name in ("title", "description", "labels"):
        for lang in LANGUAGES:
            values[f"{name}-{lang}"] = getattr(found, name).get(lang, "")
    return values


def _texts_form(
    found: Listing,
    values: Mapping[str, str],
    errors: Mapping[str, str] | None = None,
    theirs: Mapping[str, str] | None = None,
) -> ResponseReturnValue:
    page = render_template(
        "provider/listing_texts.html",
        listing=found,
        values=values,
        errors=errors or {},
        theirs=theirs,
        limits=describing,
        count_words=count_words,
    )
    return (page, 422) if errors else page


@bp.post(f"{_VERSION}/texts")
@staff_may(Duty.LISTINGS)
def listing_save(listing_id: int) -> ResponseReturnValue:
    """Save the texts; what cannot be saved is shown again as it was typed."""
    found = listing.listing(db.session(), _ours(), listing_id)
    try:
        texts = describing.clean_texts(request.form)
    except describing.InvalidError as error:
        return _texts_form(
            found, request.form, {name: _said(each) for name, each in error.errors.items()}
        )
    version = request.form.get("version", 0, type=int)
    try:
        with unit_of_work() as session:
            listing.save_texts(session, _ours(), listing_id, texts, version=version, **_who())
    except listing.StaleError as error:
        now = listing.listing(db.session(), _ours(), listing_id)
        theirs = {
            name: text for name, text in _values(now).items() if text != request.form.get(name)
        }
        return _texts_form(now, request.form, {"": _said(error)}, theirs)
    except ServiceError as error:
        return _texts_form(found, request.form, {"": _said(error)})
    flash(gettext("The texts are saved."), "success")
    return redirect(url_for("provider.listing_version", listing_id=listing_id))


@bp.get(f"{_VERSION}/pictures")
@staff_may(Duty.LISTINGS)
def listing_pictures(listing_id: int) -> ResponseReturnValue:
    """Show the pictures with what can be done with each, and the form for another one."""
    found = listing.listing(db.session(), _ours(), listing_id)
    if found.status not in EDITABLE:
        return redirect(url_for("provider.listing_version", listing_id=listing_id))
    return _pictures_form(found)


def _pictures_form(
    found: Listing,
    errors: Mapping[str, str] | None = None,
    upload: str = "",
    *,
    crop: bool = False,
) -> ResponseReturnValue:
    page = render_template(
        "provider/listing_pictures.html",
        listing=found,
        most=listing.MOST_PICTURES,
        errors=errors or {},
        upload=upload,
        crop=crop,
        keeps=list(pictures.Keep),
        alt_length=describing.ALT_LENGTH,
        picture_url=_picture_url,
    )
    return (page, 422) if errors else page


@bp.post(f"{_VERSION}/pictures")
@takes_upload(_ROOM)
@limiter.limit("30 per minute")
@staff_may(Duty.LISTINGS)
def listing_picture_add(listing_id: int) -> ResponseReturnValue:
    """Add a picture. If words or consent to crop it are missing, it is kept meanwhile."""
    found = listing.listing(db.session(), _ours(), listing_id)
    if found.status in EDITABLE and len(found.pictures) >= listing.MOST_PICTURES:
        return _pictures_form(found, {"": _said(listing.full())})
    sent = request.files.get("picture")
    upload = "" if sent else request.form.get("upload", "")
    data = sent.stream.read(pictures.MOST_BYTES + 1) if sent else _waiting(listing_id, upload)
    if not data:
        return _pictures_form(found, {"picture": gettext("Please choose a picture.")})
    errors: dict[str, str] = {}
    files: dict[int, bytes] = {}
    crop = False
    # Consent was given to what was shown, not to a file that comes only now.
    keep = "" if sent else request.form.get("keep", "")
    try:
        files = pictures.prepare(data, keep=pictures.Keep(keep) if keep in KEEPS else None)
    except pictures.ShapeError as error:
        crop = True
        errors["keep"] = _said(error)
    except pictures.PictureError as error:
        return _pictures_form(found, {"picture": _said(error)})
    alt: dict[str, str] = {}
    try:
        alt = describing.clean_alt(request.form)
    except describing.InvalidError as error:
        errors |= {name: _said(each) for name, each in error.errors.items()}
    if errors:
        return _pictures_form(
            found, errors, upload or _wait(listing_id, data), crop=crop or keep in KEEPS
        )
    name = secrets.token_hex(16)
    _store({listing.picture_path(name, width): each for width, each in files.items()})
    try:
        with unit_of_work() as session:
            listing.add_picture(
                session, _ours(), listing_id, name=name, widths=list(files), alt=alt, **_who()
            )
    except ServiceError as error:
        return _pictures_form(found, {"": _said(error)})
    _forget(listing_id)
    flash(gettext("The picture is added."), "success")
    return redirect(url_for("provider.listing_pictures", listing_id=listing_id))


KEEPS: Final = frozenset(each.value for each in pictures.Keep)


def _store(files: Mapping[str, bytes]) -> None:
    store = platform().files
    for path, data in files.items():
        store.makedirs(path.rpartition("/")[0], exist_ok=True)
        store.pipe_file(path, data)


def _wait(listing_id: int, data: bytes) -> str:
    """Keep what was sent until the form comes back; one file for each version at most."""
    _forget(listing_id)
    token = secrets.token_hex(16)
    _store({f"uploads/{listing_id}/{token}": data})
    return token


def _waiting(listing_id: int, token: str) -> bytes:
    """Return what is kept, or nothing."""
    path = f"uploads/{listing_id}/{token}"
    files = platform().files
    if not re.fullmatch(r"[0-9a-f]{32}", token) or not files.exists(path):
        return b""
    return bytes(files.cat_file(path))


def _forget(listing_id: int) -> None:
    files = platform().files
    if files.exists(f"uploads/{listing_id}"):
        files.rm(f"uploads/{listing_id}", recursive=True)


@bp.get(f"{_VERSION}/uploads/<token>/<any(start, middle, end):keep>")
@staff_may(Duty.LISTINGS)
def listing_upload(listing_id: int, token: str, keep: str) -> ResponseReturnValue:
    """Show what would remain of a picture that waits for consent."""
    listing.listing(db.session(), _ours(), listing_id)
    data = _waiting(listing_id, token)
    if not data:
        abort(404)
    return Response(pictures.preview(data, pictures.Keep(keep)), mimetype="image/webp")


@bp.get(f"{_PICTURE}/<int(max=1600):width>")
def listing_picture(listing_id: int, picture_id: int, width: int) -> ResponseReturnValue:
    """Serve a picture of one of the provider's versions, public or not."""
    found = listing.listing(db.session(), _ours(), listing_id)
    path = listing.picture_file(found, picture_id, width)
    return Response(platform().files.cat_file(path), mimetype="image/webp")


@bp.get(_PICTURE)
@staff_may(Duty.LISTINGS)
def listing_alt(listing_id: int, picture_id: int) -> ResponseReturnValue:
    """Show the form of what a picture shows in words."""
    found = listing.listing(db.session(), _ours(), listing_id)
    if found.status not in EDITABLE:
        return redirect(url_for("provider.listing_version", listing_id=listing_id))
    return _alt_form(found, picture_id, None)


def _alt_form(
    found: Listing, picture_id: int, errors: Mapping[str, str] | None
) -> ResponseReturnValue:
    picture = listing.picture_of(found, picture_id)
    page = render_template(
        "provider/listing_alt.html",
        listing=found,
        picture=picture,
        values=request.form
        if errors
        else {f"alt-{lang}": picture.alt.get(lang, "") for lang in LANGUAGES},
        errors=errors or {},
        alt_length=describing.ALT_LENGTH,
        picture_url=_picture_url,
    )
    return (page, 422) if errors else page


@bp.post(_PICTURE)
@staff_may(Duty.LISTINGS)
def listing_picture_change(listing_id: int, picture_id: int) -> ResponseReturnValue:
    """Describe a picture, move it up or down, or remove it: the button says which."""
    found = listing.listing(db.session(), _ours(), listing_id)
    changes = _CHANGES.get(request.form.get("do", ""))
    if changes is None:
        try:
            changes = {"alt": describing.clean_alt(request.form)}
        except describing.InvalidError as error:
            return _alt_form(
                found, picture_id, {name: _said(each) for name, each in error.errors.items()}
            )
    return _done(
        lambda session: listing.change_picture(
            session, _ours(), listing_id, picture_id, **changes, **_who()
        ),
        gettext("The pictures are changed."),
        url_for("provider.listing_pictures", listing_id=listing_id),
    )


@bp.post(f"{_VERSION}/submit")
@staff_may(Duty.LISTINGS)
def listing_submit(listing_id: int) -> ResponseReturnValue:
    """Hand a version in for review."""
    back = _done(
        lambda session: listing.submit(session, _ours(), listing_id, **_who()),
        gettext("Handed in. We mail you when it is reviewed; the public sees it from then on."),
        url_for("provider.listing_version", listing_id=listing_id),
    )
    _forget(listing_id)
    return back


@bp.post(f"{_VERSION}/take-back")
@staff_may(Duty.LISTINGS)
def listing_take_back(listing_id: int) -> ResponseReturnValue:
    """Make a version that waits for review a draft again."""
    return _done(
        lambda session: listing.take_back(session, _ours(), listing_id, **_who()),
        gettext("Taken back. It is a draft again."),
        url_for("provider.listing_version", listing_id=listing_id),
    )


def _done(act: Callable[[Any], object], said: str, back: str) -> ResponseReturnValue:
    """Do something in one transaction; say how it went, and go ``back``."""
    try:
        with unit_of_work() as session:
            act(session)
    except ServiceError as error:
        flash(_said(error), "warning")
    else:
        flash(said, "success")
    return redirect(back)
