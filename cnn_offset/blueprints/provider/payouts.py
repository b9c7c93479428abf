"""How the provider is paid: connected, tested, changed."""

from __future__ import annotations
