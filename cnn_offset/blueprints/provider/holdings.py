"""What the provider holds in the registries, and what of it can be offered."""

from __future__ import annotations
