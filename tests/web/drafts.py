"""Project pages at the browser: a provider with one project, and pictures to send."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from PIL import Image
from werkzeug.test import TestResponse

from cnn_offset.extensions import db
from cnn_offset.models import Activity, Listing
from tests.factories import (
    make_activity,
    make_block,
    make_mapping,
    make_offer,
    make_payout,
    make_provider,
)
from tests.web.people import add_person, log_in, post

LANGS = ("en", "fr", "es")
ALT = {f"alt-{lang}": f"Hill {lang}" for lang in LANGS}


def picture_of(width: int = 800, height: int = 600, kind: str = "JPEG") -> bytes:
    """Return a picture as a file."""
    file = io.BytesIO()
    Image.new("RGB", (width, height), "teal").save(file, kind)
    return file.getvalue()


def texts(text: str = "New", **changes: str) -> dict[str, str]:
    """Return the fields of the form of texts."""
    form = {f"title-{lang}": f"{text} title {lang}" for lang in LANGS}
    form |= {f"description-{lang}": f"{text} words ({lang})." for lang in LANGS}
    form |= {f"labels-{lang}": "" for lang in LANGS}
    return {**form, "sd_report_url": "", **changes}


@dataclass
class Desk:
    """A member of a provider's staff at work on the page of one project."""

    app: Flask
    staff: FlaskClient
    slug: str
    provider: str
    lang: str = "en"

    @property
    def base(self) -> str:
        return f"/{self.lang}/provider/listings"

    def begin(self) -> str:
        """Begin a version; return its address."""
        answer = post(self.staff, f"{self.base}/{self.slug}/begin")
        assert answer.status_code == 302, answer.text
        return str(answer.location)

    def save(self, version: str, /, **fields: str) -> TestResponse:
        fields.setdefault("version", str(self.row(version).version))
        return post(self.staff, f"{version}/texts", **texts(**fields))

    def send(self, version: str, data: bytes | None, **fields: Any) -> TestResponse:
        """Send the form of a new picture, by default with all its words."""
        form = {**ALT, **fields}
        if data is not None:
            form["picture"] = (io.BytesIO(data), "../../picture.jpg")
        return post(self.staff, f"{version}/pictures", **form)

    def hand_in(self, text: str = "New") -> str:
        """Write, show and hand in a version; return its address."""
        version = self.begin()
        assert self.save(version, text=text).status_code == 302
        assert self.send(version, picture_of()).status_code == 302
        assert post(self.staff, f"{version}/submit").status_code == 302
        assert self.row(version).status == "submitted"
        return version

    def row(self, version: str) -> Listing:
        with self.app.app_context():
            found = db.session.get_one(Listing, int(version.rpartition("/")[2]))
            assert found.pictures is not None
            return found

    def activity(self) -> Activity:
        with self.app.app_context():
            return db.session.query(Activity).filter_by(slug=self.slug).one()


def open_desk(app: Flask, email: str = "staff@example.org", slug: str = "") -> Desk:
    """Add a provider with staff and something on offer; it writes of a project of its own,
    or of the one at ``slug``.
    """
    with app.app_context():
        provider = make_provider()
        activity = (
            db.session.query(Activity).filter_by(slug=slug).one() if slug else make_activity()
        )
        make_mapping(provider, activity)
        make_payout(provider)
        make_offer(make_block(activity, provider))
        db.session.commit()
        slug, name = activity.slug, provider.slug
    add_person(app, email, "provider", name)
    return Desk(app, log_in(app, email), slug, name)
