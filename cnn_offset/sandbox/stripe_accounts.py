"""Stripe for providers: Accounts v2, links of single use, the page they lead to, and later."""

from __future__ import annotations

import secrets
import time
from typing import Any, Final

from flask import Blueprint, Response, abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from .processors import Choice
from .state import Document, current_state
from .stripe_api import ACCOUNT, Refusal, answer
from .stripe_api import bp as api
from .stripe_webhooks import ring_account

bp = Blueprint("accounts", __name__)

FILL_IN: Final = (
    Choice("done", "Fill in everything"),
    Choice("leave", "Leave unfinished"),
    Choice("fail", "Fill in what Stripe cannot verify", quiet=True),
)
STATES: Final = {
    "active": ("active", ()),
    "unfinished": ("restricted", (("requirements_past_due", "provide_info"),)),
    "unverified": ("restricted", (("rejected_incomplete_verification", "provide_info"),)),
    "restricted": ("restricted", (("restricted_other", "contact_stripe"),)),
    "checking": ("pending", (("requirements_pending_verification", "no_resolution"),)),
    "rejected": ("rejected", (("rejected_other", "no_resolution"),)),
    "revoked": ("active", ()),
}
LINK_SECONDS: Final = 600


@api.post("/v2/core/accounts")
def create_account() -> Response:
    """Make an account, once for each idempotency key."""
    body, key = _json(), request.headers.get("Idempotency-Key", secrets.token_hex(8))
    identity = body.get("identity", {})
    merchant = body.get("configuration", {}).get("merchant", {})
    if not merchant.get("capabilities", {}).get("card_payments", {}).get("requested"):
        raise Refusal(400, "parameter_missing", "configuration.merchant.capabilities")
    if len(str(identity.get("country", ""))) != 2 or "@" not in str(body.get("contact_email")):
        raise Refusal(400, "parameter_missing", "identity.country, contact_email")
    roles = body.get("defaults", {}).get("responsibilities", {})
    if set(roles) != {"fees_collector", "losses_collector"} or body.get("dashboard") != "full":
        raise Refusal(400, "parameter_missing", "defaults.responsibilities, dashboard")
    state = current_state()
    with state.transaction():
        kept = state.get("stripe/account-key", key)
        if kept is None:
            kept = {"asked": body, "account": f"acct_{secrets.token_hex(8)}"}
            state.put("stripe/account-key", key, kept)
            account = {"id": kept["account"], "name": body.get("display_name", "")}
            state.put("stripe/account", kept["account"], account | {"state": "unfinished"})
        if kept["asked"] != body:
            text = "Keys for idempotent requests can only be used with the same parameters"
            raise Refusal(400, "idempotency_error", text, kind="idempotency_error")
    return answer(_shown(find_account(kept["account"])))


@api.get("/v2/core/accounts/<name>")
def get_account(name: str) -> Response:
    """Show an account."""
    return answer(_shown(find_account(name)))


@api.post("/v2/core/account_links")
def create_link() -> Response:
    """Make a link of single use to the page of an account."""
    body = _json()
    account = find_account(str(body.get("account")))
    way = body.get("use_case", {}).get("account_onboarding", {})
    for name in ("refresh_url", "return_url"):
        if not str(way.get(name)).startswith(("http://", "https://")):
            raise Refusal(400, "url_invalid", f"Not a valid URL: {name}")
    link = {
        "account": account["id"],
        "until": time.time() + LINK_SECONDS,
        "refresh": way["refresh_url"],
        "back": way["return_url"],
    }
    token = secrets.token_urlsafe(24)
    current_state().put("stripe/link", token, link)
    return answer(
        {
            "object": "v2.core.account_link",
            "account": account["id"],
            "created": _moment(),
            "expires_at": _moment(LINK_SECONDS),
            "livemode": False,
            "url": f"{request.host_url.rstrip('/')}/stripe/connect/{token}",
            "use_case": body["use_case"],
        }
    )


def find_account(name: str) -> Document:
    """Return an account that the platform may see."""
    state = current_state()
    found = state.get("stripe/account", name)
    if found is None and not ACCOUNT.fullmatch(name):
        raise Refusal(404, "resource_missing", f"No such account: '{name}'")
    found = found or {"id": name, "name": "", "state": "active"}
    if found["state"] == "revoked":
        raise Refusal(403, "account_invalid", "The provided key has no access to this account")
    if (state.get("stripe/payee", name) or {}).get("issue") and found["state"] == "active":
        found["state"] = "restricted"
    return found


@bp.get("/connect/<token>")
def show_page(token: str) -> ResponseReturnValue:
    """Ask a provider for nothing real; a link used or too old leads back to the shop."""
    link = _link(token)
    if link["until"] < time.time():
        return redirect(link["refresh"], 303)
    return render_template("processors/connect.html", title="Stripe", choices=FILL_IN, field=None)


@bp.post("/connect/<token>")
def act(token: str) -> ResponseReturnValue:
    """Do what the provider chose, and send it back to the shop."""
    link, choice = _link(token), request.form.get("choice", "")
    if link["until"] < time.time():
        return redirect(link["refresh"], 303)
    if choice not in {each.name for each in FILL_IN}:
        abort(400)
    current_state().put("stripe/link", token, link | {"until": 0})
    if choice != "leave":
        _set(link["account"], "active" if choice == "done" else "unverified")
    return redirect(link["back"], 303)


@bp.get("/accounts")
def show_accounts() -> str:
    """List the accounts made through the platform, newest first."""
    rows = [
        (
            url_for(".show_account", name=each["id"]),
            f"{each['id']} {each['name']}",
            each["state"],
        )
        for each in reversed(current_state().all("stripe/account"))
    ]
    return render_template("processors/accounts.html", title="Stripe", rows=rows)


@bp.get("/accounts/<name>")
def show_account(name: str) -> str:
    """Show one, with buttons for what Stripe or the provider may do later."""
    account = _stored(name)
    choices = [
        Choice("active", "Let it take cards"),
        Choice("checking", "Let Stripe check it"),
        Choice("restricted", "Let Stripe restrict it"),
        Choice("rejected", "Let Stripe reject it"),
        Choice("revoked", "Take the platform’s access away", quiet=True),
    ]
    return render_template(
        "processors/backstage.html",
        title="Stripe",
        facts={"Account": name, "Of": account["name"], "Status": account["state"]},
        choices=choices,
        json=_shown(account),
        all_url=url_for(".show_accounts"),
    )


@bp.post("/accounts/<name>")
def act_backstage(name: str) -> ResponseReturnValue:
    """Do what a button says."""
    if request.form.get("choice") not in STATES:
        abort(400)
    _set(name, request.form["choice"])
    return redirect(url_for(".show_account", name=name), 303)


def _set(name: str, state: str) -> None:
    """Change an account and ring for it."""
    current_state().put("stripe/account", name, _stored(name) | {"state": state})
    ring_account(name)


def _stored(name: str) -> Document:
    if not ACCOUNT.fullmatch(name):
        abort(404)
    found = current_state().get("stripe/account", name)
    return found or {"id": name, "name": "", "state": "active"}


def _shown(account: Document) -> dict[str, Any]:
    word, details = STATES[account["state"]]
    cards = {
        "status": word,
        "status_details": [{"code": code, "resolution": way} for code, way in details],
    }
    return {
        "id": account["id"],
        "object": "v2.core.account",
        "applied_configurations": ["merchant"],
        "closed": False,
        "configuration": {"merchant": {"capabilities": {"card_payments": cards}}},
        "created": _moment(),
        "dashboard": "full",
        "display_name": account["name"],
        "livemode": False,
    }


def _link(token: str) -> Document:
    found = current_state().get("stripe/link", token)
    if found is None:
        abort(404)
    return found


def _json() -> dict[str, Any]:
    body = request.get_json(force=True, silent=True)
    if not isinstance(body, dict):
        raise Refusal(400, "", "Not JSON")
    return body


def _moment(later: float = 0) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(time.time() + later))
