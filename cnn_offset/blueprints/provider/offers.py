"""Offers: made, changed, withdrawn, private ones, and whole tables of them."""

from __future__ import annotations
