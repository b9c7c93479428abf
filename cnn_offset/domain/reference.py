"""Codes that people read and copy: order codes, payment references, attestation numbers."""

from __future__ import annotations

import re
from typing import Final

from stdnum import iso11649
from stdnum.iso7064 import mod_97_10

ALPHABET: Final = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
"""No letter or digit that can be read as another."""
_ATTESTATION = re.compile(r"VC(\d{6,})/(\d{4})", re.ASCII)


def creditor_reference(number: int) -> str:
    """Write ``number`` (1 to 12 digits) as an ISO 11649 reference with digits only.

    With a body of digits every single wrong digit and every swap of neighbours is seen
    (payments-facts.md 4.1).

    Raises:
        ValueError: ``number`` does not fit.

    """
    if not 0 < number < 10**12:
        raise ValueError(f"no reference for {number}")
    body = f"{number:012d}"
    return f"RF{mod_97_10.calc_check_digits(body + 'RF')}{body}"


def is_creditor_reference(text: str) -> bool:
    """Whether ``text``, spaces allowed, is a reference with right check digits."""
    return bool(iso11649.is_valid(text))


def attestation_number(sequence: int, year: int) -> str:
    """Write the number of an attestation: ``VC000123/2026``."""
    return f"VC{sequence:06d}/{year}"


def paper_number(kind: str, sequence: int) -> str:
    """Write the number of a provider's pro-forma invoice or receipt: ``PF000007``, ``R000007``."""
    return f"{'PF' if kind == 'pro_forma' else 'R'}{sequence:06d}"


def statement_number(sequence: int) -> str:
    """Write the number of a statement of fees: ``FS000007``."""
    return f"FS{sequence:06d}"


def parse_attestation_number(text: str) -> tuple[int, int] | None:
    """Read a number as people type it, in either case, with spaces or ``-`` for ``/``."""
    plain = re.sub(r"\s", "", text).upper().replace("-", "/").replace("_", "/")
    found = _ATTESTATION.fullmatch(plain)
    return (int(found[1]), int(found[2])) if found else None
