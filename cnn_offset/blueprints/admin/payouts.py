"""Bank transfers that providers ask for."""

from __future__ import annotations
