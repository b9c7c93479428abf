"""Documents that applicants hand in: judged by what they are, not by what they are called."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import PurePath
from typing import Final

from cnn_offset.domain.text import N_, UnreadableTextError, clean_line
from cnn_offset.pictures import reencode
from cnn_offset.services import ServiceError

MOST: Final = 5
"""Files in one go."""
LARGEST: Final = 10 * 1024 * 1024
_ENDINGS: Final = {"application/pdf": "pdf", "image/jpeg": "jpg", "image/png": "png"}
_PICTURES: Final = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")


@dataclass(frozen=True, slots=True)
class Document:
    """A document that can be kept."""

    filename: str
    content_type: str
    data: bytes

    @property
    def sha256(self) -> str:
        """What tells it from every other."""
        return hashlib.sha256(self.data).hexdigest()

    @property
    def path(self) -> str:
        """Where it lies in the file store."""
        return f"proofs/{self.sha256}.{_ENDINGS[self.content_type]}"


def read_document(data: bytes, filename: str) -> Document:
    """Return what may be kept of an upload: a PDF as it is, a picture drawn afresh.

    A PDF is only ever handed out as a download. Of a picture nothing but the pixels stays.

    Raises:
        ServiceError: it is empty, too large, broken or something else.

    """
    if not data:
        raise ServiceError(N_("This file is empty."))
    if len(data) > LARGEST:
        raise ServiceError(N_("This file is larger than 10 MB."))
    if data.startswith(b"%PDF-"):
        if b"%%EOF" not in data[-2048:]:
            raise ServiceError(N_("This PDF is not complete. Please save it once more."))
        return Document(_name(filename, "application/pdf"), "application/pdf", data)
    if data.startswith(_PICTURES):
        pixels, content_type = reencode(data)
        return Document(_name(filename, content_type), content_type, pixels)
    raise ServiceError(N_("This file is no PDF, JPEG or PNG, whatever its name says."))


def _name(filename: str, content_type: str) -> str:
    return clean_filename(filename, _ENDINGS[content_type])


def clean_filename(filename: str, ending: str = "") -> str:
    """Clean a file's name for the download; its ending tells the truth, if one is given."""
    try:
        path = PurePath(clean_line(filename.replace("\\", "/")))
    except UnreadableTextError:
        path = PurePath()
    stem = re.sub(r'[<>:"/|?*;%]+', " ", path.stem if ending else path.name)
    stem = stem.strip(" .")[:100] or "document"
    return f"{stem}.{ending}" if ending else stem
