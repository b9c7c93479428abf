"""The blueprint of what somebody who is logged in finds about the own account."""

from __future__ import annotations

from flask import Blueprint

from cnn_offset.guards import guarded, signed_in

bp = guarded(Blueprint("account", __name__), signed_in)
