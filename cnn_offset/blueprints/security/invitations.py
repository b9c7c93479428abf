"""Following an invitation to a provider's staff."""

from __future__ import annotations
