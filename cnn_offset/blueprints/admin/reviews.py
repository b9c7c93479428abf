"""Texts and pictures that wait for review, beside what the public sees now."""

from __future__ import annotations
