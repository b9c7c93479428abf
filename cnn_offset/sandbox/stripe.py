"""Stripe, simulated: its API, its page for payers, and what happens backstage."""

from __future__ import annotations

from flask import Blueprint

from . import stripe_accounts, stripe_api, stripe_pages

bp = Blueprint("stripe", __name__)
bp.register_blueprint(stripe_api.bp)
bp.register_blueprint(stripe_pages.bp)
bp.register_blueprint(stripe_accounts.bp)
