"""The frame of the sandbox: wiring, control and the pages about the sandbox itself."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Flask, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from . import authenticator, bank, mailbox, paypal, registries, stripe
from .faults import KINDS, Fault, Faults, FaultyCalls, current_faults
from .state import State, current_state

bp = Blueprint("sandbox", __name__)
REGISTRY_TEXTS = (
    ("cdm", "CDM registry", "CERs. Answers at once, in numbered pages."),
    ("a64-interim", "Interim Article 6.4 registry", "A6.4ERs, on the same system as the CDM's."),
    ("a64-final", "Final Article 6.4 registry", "A6.4ERs. Accepts first, cancels a little later."),
)


def create_sandbox(state_path: str | None = None) -> Flask:
    """Make the sandbox; with ``state_path`` its books survive a restart."""
    app = Flask(__name__, template_folder="templates", static_folder="static")
    app.config["MAX_CONTENT_LENGTH"] = 30 * 2**20
    state = State(state_path)
    faults = Faults(state)
    app.extensions["sandbox.state"] = state
    app.extensions["sandbox.faults"] = faults
    app.register_blueprint(bp)
    app.register_blueprint(registries.bp)
    app.register_blueprint(mailbox.bp)
    app.register_blueprint(authenticator.bp)
    app.register_blueprint(bank.bp)
    app.register_blueprint(paypal.bp, url_prefix="/paypal")
    app.register_blueprint(stripe.bp, url_prefix="/stripe")
    app.wsgi_app = FaultyCalls(app.wsgi_app, faults)  # type: ignore[method-assign]
    return app


@bp.get("/")
def index() -> str:
    """Say what is simulated, and where."""
    state = current_state()
    return render_template(
        "sandbox/index.html",
        registries=[
            {
                "name": name,
                "title": title,
                "text": text,
                "token": registries.book_of(name).settings()["token"],
                "blocks": len(registries.book_of(name).blocks()),
                "cancellations": len(registries.book_of(name).cancellations()),
            }
            for name, title, text in REGISTRY_TEXTS
        ],
        processors=[("paypal", "PayPal"), ("stripe", "Stripe")],
        webhooks=state.get("control", "webhooks") or {},
        mails=len(state.all("mail")),
        faults=current_faults().all(),
    )


@bp.get("/faults")
def show_faults() -> ResponseReturnValue:
    """Show the switches, as a page or, if asked so, as JSON."""
    if "text/html" in request.headers.get("Accept", ""):
        return render_template("sandbox/faults.html", faults=current_faults().all(), kinds=KINDS)
    return jsonify(faults=[_shown(each) for each in current_faults().all()])


@bp.post("/faults")
def set_faults() -> ResponseReturnValue:
    """Set one fault or a list of them, or with ``clear`` switch all off first."""
    wanted: Any = request.get_json() if request.is_json else request.form.to_dict()
    try:
        for each in wanted if isinstance(wanted, list) else [wanted]:
            values = {k: v for k, v in each.items() if v not in ("", None)}
            if values.pop("clear", False):
                current_faults().clear()
            if values:
                current_faults().set(_fault(values))
    except (AttributeError, TypeError, ValueError) as error:
        return jsonify(error=str(error)), 400
    if request.is_json:
        return jsonify(faults=[_shown(each) for each in current_faults().all()])
    return redirect(url_for("sandbox.show_faults"), 303)


@bp.post("/control/reset")
def reset() -> ResponseReturnValue:
    """Forget everything: books, payments, mail, faults, settings."""
    current_state().clear()
    return jsonify(ok=True)


@bp.get("/control/webhooks")
def show_webhooks() -> ResponseReturnValue:
    """Say where each processor sends its webhooks."""
    return jsonify(current_state().get("control", "webhooks") or {})


@bp.post("/control/webhooks")
def set_webhooks() -> ResponseReturnValue:
    """Set where processors send their webhooks: ``{"paypal": url, "stripe": url}``."""
    state = current_state()
    with state.transaction():
        urls = (state.get("control", "webhooks") or {}) | request.get_json()
        state.put("control", "webhooks", urls)
    return jsonify(urls)


def _fault(values: dict[str, Any]) -> Fault:
    kinds = {"probability": float, "count": int, "milliseconds": int, "seed": int}
    return Fault(**{k: kinds.get(k, str)(v) for k, v in values.items()})


def _shown(fault: Fault) -> dict[str, Any]:
    return {name: getattr(fault, name) for name in Fault.__dataclass_fields__}
