"""Texts and pictures of the provider's projects, version by version."""

from __future__ import annotations
