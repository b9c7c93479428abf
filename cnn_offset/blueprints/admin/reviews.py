"""Texts and pictures that wait for review, beside what the public sees now."""

from __future__ import annotations

from typing import Any, Final

from flask import Response, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_security import current_user

from cnn_offset.blueprints.admin.desk import bp
from cnn_offset.blueprints.catalogue.cards import picture_url
from cnn_offset.domain.staff import DeskDuty
from cnn_offset.domain.status import ListingStatus
from cnn_offset.extensions import db, platform, unit_of_work
from cnn_offset.guards import operator_may
from cnn_offset.i18n import LANGUAGES
from cnn_offset.models import Activity, Listing
from cnn_offset.services import ServiceError, describing, listing, reviewing
from cnn_offset.web import last_shown, row_id

PAGE: Final = 50
_REVIEW: Final = f"/operator/reviews/<int(max={2**63 - 1}):listing_id>"


@bp.get("/operator/reviews")
def reviews() -> ResponseReturnValue:
    """List what waits for review, oldest first."""
    found = reviewing.queue(
        db.session(), after=request.args.get("after", type=row_id), limit=PAGE + 1
    )
    return render_template(
        "admin/reviews.html",
        listings=found[:PAGE],
        newer=last_shown(found, PAGE),
    )


@bp.get(_REVIEW)
def review(listing_id: int) -> ResponseReturnValue:
    """Show a version beside what the public sees, with what would change."""
    return _page(reviewing.reviewed(db.session(), listing_id))


def _page(found: Listing, errors: dict[str, str] | None = None) -> ResponseReturnValue:
    activity = found.activity
    public = listing.public_listing(db.session(), activity.id)
    page = render_template(
        "admin/review.html",
        listing=found,
        public=public,
        waits=found.status is ListingStatus.SUBMITTED,
        texts=[
            (lang, native, _compared(activity, found, lang)) for lang, native in LANGUAGES.items()
        ],
        sd_report=_part(activity.sd_report_url, found.sd_report_url),
        pictures_now=_pictures_now(activity, public),
        words_now={each.path: each.alt for each in public.pictures} if public else {},
        missing=describing.missing(found),
        errors=errors or {},
    )
    return (page, 422) if errors else page


def _compared(activity: Activity, found: Listing, lang: str) -> dict[str, Any]:
    return {
        name: _part(getattr(activity, name).get(lang, ""), getattr(found, name).get(lang, ""))
        for name in ("title", "description", "labels")
    }


def _part(old: str, new: str) -> dict[str, Any]:
    left, right = reviewing.compared(old, new)
    return {"old": left, "new": right, "same": old == new}


def _pictures_now(activity: Activity, public: Listing | None) -> list[tuple[str, Any]]:
    if public:
        return [(picture_url(each.path, 800), each.alt) for each in public.pictures]
    return [(picture_url(activity.picture), activity.picture_alt)] if activity.picture else []


@bp.get(f"{_REVIEW}/pictures/<int(max={2**63 - 1}):picture_id>/<int(max=1600):width>")
def review_picture(listing_id: int, picture_id: int, width: int) -> ResponseReturnValue:
    """Serve a picture of a version that was handed in."""
    found = reviewing.reviewed(db.session(), listing_id)
    path = listing.picture_file(found, picture_id, width)
    return Response(platform().files.cat_file(path), mimetype="image/webp")


@bp.post(f"{_REVIEW}/approve")
@operator_may(DeskDuty.PROVIDERS)
def review_approve(listing_id: int) -> ResponseReturnValue:
    """Show the version to the public."""
    try:
        with unit_of_work() as session:
            reviewing.approve(
                session,
                listing_id,
                version=request.form.get("version", 0, type=int),
                actor=current_user.email,
                now=platform().clock(),
            )
    except ServiceError as error:
        return _page(
            reviewing.reviewed(db.session(), listing_id),
            {"": gettext(error.message, **error.values)},
        )
    flash(
        gettext("Approved. The public sees it from now on; we have mailed the provider."), "success"
    )
    return redirect(url_for("admin.reviews"))


@bp.post(f"{_REVIEW}/refuse")
@operator_may(DeskDuty.PROVIDERS)
def review_refuse(listing_id: int) -> ResponseReturnValue:
    """Give the version back to its provider with a reason."""
    try:
        with unit_of_work() as session:
            reviewing.refuse(
                session,
                listing_id,
                version=request.form.get("version", 0, type=int),
                reason=request.form.get("reason", ""),
                actor=current_user.email,
                now=platform().clock(),
            )
    except ServiceError as error:
        field = "reason" if isinstance(error, reviewing.ReasonError) else ""
        return _page(
            reviewing.reviewed(db.session(), listing_id),
            {field: gettext(error.message, **error.values)},
        )
    flash(gettext("Given back. We have mailed the provider your words."), "success")
    return redirect(url_for("admin.reviews"))
