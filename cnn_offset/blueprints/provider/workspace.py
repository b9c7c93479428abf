"""The provider's workspace: one blueprint, its pages by feature in the modules beside this."""

from __future__ import annotations

from flask import Blueprint

from cnn_offset.guards import guarded, provider_staff

bp = guarded(Blueprint("provider", __name__), provider_staff)
