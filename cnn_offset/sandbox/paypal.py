"""PayPal, simulated: its API, its page for payers, and what happens backstage."""

from __future__ import annotations

from flask import Blueprint

from . import paypal_api, paypal_pages, paypal_sellers

bp = Blueprint("paypal", __name__)
bp.register_blueprint(paypal_api.bp)
bp.register_blueprint(paypal_pages.bp)
bp.register_blueprint(paypal_sellers.bp)
