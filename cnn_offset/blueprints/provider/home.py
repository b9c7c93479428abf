"""The workspace's first page: the checklist to the first sale, and what is due."""

from __future__ import annotations
