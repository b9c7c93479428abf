"""What every response has in common: headers, request ids, error pages, sessions."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from flask import Flask, Response, g, render_template, request, session
from flask.typing import ResponseReturnValue
from flask_babel import force_locale
from flask_security import current_user
from werkzeug.exceptions import HTTPException, InternalServerError, NotFound
from werkzeug.middleware.proxy_fix import ProxyFix

from cnn_offset.extensions import Platform, db, unit_of_work
from cnn_offset.i18n import LANGUAGES, preferred_language
from cnn_offset.services import NotFoundError
from cnn_offset.watching import write_calls

PAGES = {400, 403, 404, 405, 409, 413, 422, 429, 500, 503}
View = TypeVar("View", bound=Callable[..., ResponseReturnValue])


def takes_upload(megabytes: int) -> Callable[[View], View]:
    """Let people who are signed in send a view more than MAX_CONTENT_LENGTH, below its route."""

    def mark(view: View) -> View:
        view.largest_body = megabytes * 1024 * 1024  # type: ignore[attr-defined]
        return view

    return mark


def init_app(app: Flask, platform: Platform) -> None:
    """Bind what surrounds every view."""
    if platform.settings.PROXIES:
        hops = platform.settings.PROXIES
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
            app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops
        )
    secure = platform.settings.PUBLIC_URL.startswith("https://")

    # Before anything reads the form: the check of its token does.
    @app.url_value_preprocessor
    def _widen(endpoint: str | None, _values: dict[str, Any] | None) -> None:
        largest = getattr(app.view_functions.get(endpoint or ""), "largest_body", None)
        if largest and "_user_id" in session:
            request.max_content_length = largest

    @app.before_request
    def _begin() -> None:
        g.request_id = secrets.token_hex(6)

    @app.after_request
    def _headers(response: Response) -> Response:
        # Strict: nothing inline, nothing from elsewhere (trust-details.md 2.5). Forms go
        # to ourselves; the way to a processor's page is a redirect, which Chromium
        # checks against form-action as well.
        targets = " ".join(["'self'", *app.config["FORM_TARGETS"]])
        headers = response.headers
        headers.setdefault(
            "Content-Security-Policy",
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
            f"font-src 'self'; connect-src 'self'; form-action {targets}; "
            "frame-ancestors 'none'; base-uri 'none'; object-src 'none'",
        )
        headers.setdefault("X-Content-Type-Options", "nosniff")
        headers.setdefault("Referrer-Policy", "same-origin")
        headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
        headers.setdefault("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
        if secure:
            headers.setdefault("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
        headers["X-Request-Id"] = g.get("request_id", "")
        return response

    @app.after_request
    def _write_calls(response: Response) -> Response:
        here = app.extensions["cnn_offset"]
        write_calls(here.calls, here.clock(), unit_of_work)
        return response

    @app.errorhandler(HTTPException)
    def _page(error: HTTPException) -> ResponseReturnValue:
        if error.response is not None or error.code is None:
            return error
        db.session.rollback()
        lang = g.get("lang") or _language_of_path()
        g.lang = lang
        code = error.code if error.code in PAGES else 400 if error.code < 500 else 500
        with force_locale(lang):
            page = render_template(f"errors/{code}.html", error=error)
        response = app.make_response((page, error.code))
        # Such as Retry-After and Allow.
        for name, value in error.get_headers():
            if name.lower() not in {"content-type", "content-length"}:
                response.headers.setdefault(name, value)
        return response

    @app.errorhandler(NotFoundError)
    def _not_found(_error: NotFoundError) -> ResponseReturnValue:
        # Whoever tries out the ids of others should be seen.
        user_id = getattr(current_user, "id", None)
        app.logger.warning("nothing at %s for user %s", request.endpoint, user_id)
        return _page(NotFound())

    @app.errorhandler(Exception)
    def _crash(error: Exception) -> ResponseReturnValue:
        if app.config.get("TESTING") and app.config.get("PROPAGATE_EXCEPTIONS"):
            raise error
        app.logger.error("request %s failed", g.get("request_id"), exc_info=error)
        return _page(InternalServerError())


def row_id(text: str) -> int:
    """Read the id of a row from an address; for ``request.args.get(…, type=row_id)``.

    Raises:
        ValueError: it can be no id; a database would choke on it.

    """
    number = int(text)
    if not 0 < number < 2**63:
        raise ValueError(text)
    return number


def last_shown(found: Sequence[Any], size: int) -> Any:
    """Return the id that the next page goes on from; None if ``found`` has no more than a page.

    Lists ask for one row more than they show.
    """
    return found[size - 1].id if len(found) > size else None


def as_download(data: bytes, filename: str, content_type: str) -> Response:
    """Answer with a file that somebody sent us: saved by the browser, never shown as a page."""
    response = Response(data, content_type=content_type)
    response.headers.set("Content-Disposition", "attachment", filename=filename)
    response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return response


def _language_of_path() -> str:
    first = request.path.split("/", 2)[1] if request.path.count("/") > 1 else ""
    if first in LANGUAGES:
        return first
    return preferred_language()
