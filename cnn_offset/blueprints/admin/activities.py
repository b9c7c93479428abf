"""Projects: registered one by one."""

from __future__ import annotations
