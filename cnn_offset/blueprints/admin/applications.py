"""Applications to become a provider: read, asked about, approved or refused; accounts mapped."""

from __future__ import annotations
