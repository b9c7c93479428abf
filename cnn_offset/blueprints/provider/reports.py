"""Sales, payments, fees and cancellations by period."""

from __future__ import annotations
