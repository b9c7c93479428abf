"""The operators' desk: one blueprint, its pages by feature in the modules beside this."""

from __future__ import annotations

from flask import Blueprint

from cnn_offset.guards import guarded, operator

bp = guarded(Blueprint("admin", __name__), operator)
