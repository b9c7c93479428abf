"""Who may enter: every blueprint declares one of these guards, public ones too."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import urlsplit

from flask import (
    Blueprint,
    Response,
    abort,
    current_app,
    flash,
    redirect,
    render_template,
    request,
    url_for,
)
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_security import current_user

from cnn_offset import second_factor
from cnn_offset.accounts import own_path
from cnn_offset.domain.staff import DeskDuty, Duty
from cnn_offset.extensions import db, platform
from cnn_offset.services import staffing

Guard = Callable[[], ResponseReturnValue | None]
View = Callable[..., ResponseReturnValue]


def public() -> None:
    """Everybody may enter."""


def signed_in() -> ResponseReturnValue | None:
    """Send strangers to the log-in page, and back afterwards."""
    if current_user.is_authenticated:
        return None
    wanted = request.full_path.rstrip("?") if request.method == "GET" else None
    return redirect(url_for("security.login", next=wanted))


def provider_staff() -> ResponseReturnValue | None:
    """Let in a provider's staff; to others signed in the page does not exist.

    The row is read at each request: who was removed is out with the next click.
    """
    return signed_in() or _only(
        current_user.has_role("provider") and current_user.provider_id and current_user.staff_role
    )


def staff_may(duty: Duty, *, fresh: bool = False) -> Callable[[View], View]:
    """Keep a view of the provider's workspace for those whose role carries ``duty``.

    Others of the same provider are told whom to ask (403). Then the second factor: who has
    none is led to set one up, and with ``fresh`` it is asked for again after a while.
    Everything that moves money or units stands behind this.
    """
    return _may(duty, fresh=fresh, refuse=_ask_an_owner)


def operator_may(duty: DeskDuty, *, fresh: bool = False) -> Callable[[View], View]:
    """Keep a view of the desk for operators whose role carries ``duty``; others see 403.

    Every view that changes something stands behind this, and leaves an event with the
    operator as its actor. ``fresh``: the second factor is asked for again after a while.
    """
    return _may(duty, fresh=fresh, refuse=lambda: render_template("errors/403.html"))


def operator_may_by(
    duty_of: Callable[..., DeskDuty], *, fresh: bool = False
) -> Callable[[View], View]:
    """Keep a view as :func:`operator_may` does, by a duty that hangs on what it is about.

    ``duty_of`` is handed what stands in the address.
    """

    def wrap(view: View) -> View:
        @wraps(view)
        def guarded_view(*args: Any, **kwargs: Any) -> ResponseReturnValue:
            return operator_may(duty_of(*args, **kwargs), fresh=fresh)(view)(*args, **kwargs)

        guarded_view.duty_of, guarded_view.fresh = duty_of, fresh  # type: ignore[attr-defined]
        return guarded_view

    return wrap


def _may(
    duty: Duty | DeskDuty, *, fresh: bool, refuse: Callable[[], str]
) -> Callable[[View], View]:
    def wrap(view: View) -> View:
        @wraps(view)
        def guarded_view(*args: Any, **kwargs: Any) -> ResponseReturnValue:
            if not current_user.may(duty):
                current_app.logger.warning(
                    "refused %s to user %s", request.endpoint, current_user.id
                )
                return refuse(), 403
            return _second_factor(fresh=fresh) or view(*args, **kwargs)

        guarded_view.duty, guarded_view.fresh = duty, fresh  # type: ignore[attr-defined]
        return guarded_view

    return wrap


def _ask_an_owner() -> str:
    owners = staffing.owners_of(db.session(), current_user.provider_id)
    return render_template("provider/staff_refused.html", owners=owners)


def _second_factor(*, fresh: bool = False) -> ResponseReturnValue | None:
    if not second_factor.is_enrolled(current_user):
        return redirect(url_for("account.second_factor", next=_here()))
    if fresh or not second_factor.has_proved(platform().clock()):
        return prove()
    return None


def prove() -> ResponseReturnValue | None:
    """Ask for a proof, unless one was given in the last minutes; then come back here.

    Of an account without a second factor the proof is the password.
    """
    if second_factor.has_proved(platform().clock(), second_factor.FRESH):
        return None
    if request.method == "POST":
        flash(gettext("First prove that it is you; then please send the form again."), "info")
    return redirect(url_for("account.verify", next=_here()))


def _here() -> str:
    """Return the page that somebody is on, or sends a form from."""
    if request.method == "GET":
        return request.full_path.rstrip("?")
    came = urlsplit(request.referrer or "")
    return own_path(f"{came.path}?{came.query}".rstrip("?"))


def operator() -> ResponseReturnValue | None:
    """Let in operators, by their second factor; to others signed in the page does not exist."""
    return (
        signed_in()
        or _only(current_user.has_role("operator") and current_user.operator_role)
        or _second_factor()
    )


def _only(allowed: object) -> ResponseReturnValue | None:
    if allowed:
        return None
    current_app.logger.warning("refused %s to user %s", request.endpoint, current_user.id)
    abort(404)


def private(response: Response) -> Response:
    """Keep a page out of every cache: somebody else may use the computer next."""
    response.headers.setdefault("Cache-Control", "no-store")
    return response


def guarded(blueprint: Blueprint, guard: Guard) -> Blueprint:
    """Put ``guard`` in front of every view of ``blueprint`` and say so on it.

    Pages that are not for everybody are never cached.
    """
    blueprint.before_request(guard)
    if guard is not public:
        blueprint.after_request(private)
    blueprint.guard = guard  # type: ignore[attr-defined]
    return blueprint
