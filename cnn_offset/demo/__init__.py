"""Invented providers, activities, offers and pictures, to try the platform with."""

from typing import Final

TOTP_SECRET: Final = "TONNEBYTONNEDEMOTONNEBYTONNEDEMO"  # noqa: S105 - of the demo's staff alone
"""What the authenticator app of the demo's staff is fed with, in base32."""
