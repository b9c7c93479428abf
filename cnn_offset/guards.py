"""Who may enter: every blueprint declares one of these guards, public ones too."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from flask import Blueprint, Response, abort, current_app, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user

from cnn_offset.domain.staff import Duty

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
    """Let in a provider's staff; to others signed in the page does not exist."""
    return signed_in() or _only(current_user.has_role("provider") and current_user.provider_id)


def staff_may(duty: Duty) -> Callable[[View], View]:
    """Keep a view of the provider's workspace for those whose role carries ``duty``.

    Others of the same provider are told whom to ask (403). Everything that moves money or
    units stands behind this.
    """

    def wrap(view: View) -> View:
        @wraps(view)
        def guarded_view(*args: Any, **kwargs: Any) -> ResponseReturnValue:
            if not current_user.may(duty):
                current_app.logger.warning(
                    "refused %s to user %s", request.endpoint, current_user.id
                )
                abort(403)
            return view(*args, **kwargs)

        guarded_view.duty = duty  # type: ignore[attr-defined]
        return guarded_view

    return wrap


def operator() -> ResponseReturnValue | None:
    """Let in operators; to others signed in the page does not exist."""
    return signed_in() or _only(current_user.has_role("operator"))


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
