"""The provider's staff: invited, given a role, removed."""

from __future__ import annotations
