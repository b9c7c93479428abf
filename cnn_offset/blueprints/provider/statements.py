"""Bank statements: uploaded, matched, decided entry by entry."""

from __future__ import annotations
