"""The mapping: a small TOML file that says how a file is to be read.

::

    registry = "cdm"                    # the connection; --registry goes before it
    sheet = "Cancellations"             # of a workbook: by name or number; else the first
    encoding = "cp1252"                 # of a text; else detected
    delimiter = ";"                     # likewise
    header_row = 3                      # where the headings stand; else the first row
    date_format = "%d/%m/%Y %H:%M"      # one or several; ISO dates and Excel's need none
    time_zone = "Asia/Tokyo"            # of moments that name none; else UTC
    repeat = ["party"]                  # columns where an empty cell means the one above

    [columns]                           # our name = the heading in the file
    completed_at = "Completed date"
    [values.unit]                       # what a cell of a column means
    "Certified Emission Reduction" = "cer"
    [keep]                              # rows that are taken; others are skipped
    platform = "Yes"
    [defaults]                          # for an empty cell, or a column that is not there
    technology = "wind"
"""

from __future__ import annotations

import codecs
import hashlib
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from cnn_offset.services.importing.faults import FileFaultError


class Plan(BaseModel):
    """A mapping that was read; every part may be left out."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    registry: str = ""
    sheet: str | int = ""
    encoding: str = ""
    delimiter: Literal["", ",", ";", "\t", "|"] = ""
    header_row: int = Field(0, ge=0, le=1000)
    date_format: str | Sequence[str] = ()
    time_zone: str = "UTC"
    repeat: Sequence[str] = ()
    columns: dict[str, str] = {}
    values: dict[str, dict[str, str]] = {}
    keep: dict[str, str | Sequence[str]] = {}
    defaults: dict[str, str] = {}

    @field_validator("encoding")
    @classmethod
    def _is_encoding(cls, name: str) -> str:
        try:
            return codecs.lookup(name).name if name else ""
        except LookupError:
            raise ValueError(f"“{name}” is no encoding; write utf-8, utf-16 or cp1252") from None

    @field_validator("time_zone")
    @classmethod
    def _is_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (KeyError, ValueError, OSError):
            raise ValueError(f"“{name}” is no time zone; write Europe/Berlin, say") from None
        return name

    @property
    def formats(self) -> Sequence[str]:
        """The formats of dates, in the order in which they are tried."""
        return (self.date_format,) if isinstance(self.date_format, str) else self.date_format

    @property
    def zone(self) -> ZoneInfo:
        """The time zone of moments that name none."""
        return ZoneInfo(self.time_zone)

    @property
    def sha256(self) -> str:
        """Of all that it says: the same file read by another mapping is another import."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()


def read_plan(path: Path | None) -> Plan:
    """Read a mapping; an empty one if there is none.

    Raises:
        FileFaultError: it cannot be read, or says something that nobody knows.

    """
    if path is None:
        return Plan.model_validate({})
    try:
        return Plan.model_validate(tomllib.loads(path.read_text("utf-8-sig")))
    except OSError as error:
        raise FileFaultError(f"{path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise FileFaultError(f"{path.name} is no TOML: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            known = ", ".join(Plan.model_fields)
            raise FileFaultError(
                f"{path.name}: “{where}” is nothing that a mapping says; it may say {known}"
            ) from error
        what = first["msg"].removeprefix("Value error, ")
        raise FileFaultError(f"{path.name}: {where}: {what}") from error
