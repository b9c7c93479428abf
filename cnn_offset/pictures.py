"""Pictures that people send: looked at with suspicion, drawn afresh. Bytes in, bytes out.

Nothing of what was sent is kept but the visible picture: it is decoded, turned upright,
brought to sRGB and pasted into a new image, so that neither place nor camera, comments,
profiles or what hangs behind the picture get out (trust-details.md 2.2, "Pictures").
"""

from __future__ import annotations

import io
from enum import StrEnum
from threading import Lock
from typing import Final

from PIL import ExifTags, Image, ImageCms, ImageOps

from cnn_offset.domain.text import N_
from cnn_offset.services import ServiceError

MOST_BYTES: Final = 12 * 2**20
MOST_PIXELS: Final = 25_000_000
MOST_SIDE: Final = 10_000
LEAST_WIDTH: Final = 800
LEAST_HEIGHT: Final = 600
"""With 4:3, the platform's rules for pictures (its FAQ for providers)."""
WIDTHS: Final = (400, 800, 1600)
"""What is kept, in pixels: for phones, cards, and the large one. None is enlarged."""
_DOCUMENT_SIDE: Final = 3000
_FORMATS: Final = ("JPEG", "PNG", "WEBP")
_SRGB: Final = ImageCms.createProfile("sRGB")
_TURNED: Final = {5, 6, 7, 8}
"""Orientations of EXIF that exchange width and height."""
_REDUCED: Final = {"L", "LA", "RGB", "RGBA", "CMYK"}
"""Kinds of colours of which a mean can be made."""
_one_at_a_time = Lock()
"""The largest picture takes some 400 MB for a moment: in each process once."""
_DAMAGED: Final = N_(
    "The picture is damaged or was not sent completely. Please save it again and send it once more."
)
_OTHERS: Final = (
    (b"%PDF", N_("This is a PDF document, not a picture. Please send a JPEG, PNG or WebP file.")),
    (b"GIF8", N_("GIF pictures cannot be used. Please save it as JPEG, PNG or WebP.")),
    (b"<svg", N_("Drawings (SVG) cannot be used. Please save it as PNG or WebP.")),
    (
        b"ftyphei",
        N_("HEIC pictures cannot be used. Please let your phone save it as JPEG, then send that."),
    ),
)
"""What people send by mistake, by a sign near its beginning."""


class PictureError(ServiceError):
    """The file cannot be used as a picture; the message says why and what to do."""


class ShapeError(PictureError):
    """A good picture, but not 4:3: part of it must go, if its owner agrees."""


class Keep(StrEnum):
    """Which part of a picture that is too wide or too high remains."""

    START = "start"
    MIDDLE = "middle"
    END = "end"


def prepare(data: bytes, *, keep: Keep | None = None) -> dict[int, bytes]:
    """Return a picture as WebP files in 4:3, by width, in all widths it is large enough for.

    Args:
        data: a file as somebody sent it.
        keep: what remains if it is not 4:3 within half a percent; None if nobody has
            agreed to crop it.

    Raises:
        ShapeError: it is not 4:3 and ``keep`` is None.
        PictureError: it is no picture, damaged, too large, too small or moving.

    """
    with _opened(data) as image:
        width, height = _upright(image)
        _check_shown(width, height)
        if keep is None and abs(width * 3 - height * 4) * 200 > height * 4:
            raise ShapeError(
                N_("The picture is not in the shape 4:3. Please choose what of it remains.")
            )
        made = _clean(image, WIDTHS[-1])
        box = _box(*made.size, keep or Keep.MIDDLE)
    return {each: _webp(made, box, each) for each in WIDTHS if each <= box[2] - box[0]}


def preview(data: bytes, keep: Keep) -> bytes:
    """Return as a small WebP what would remain of a picture.

    Raises:
        PictureError: as :func:`prepare`.

    """
    with _opened(data) as image:
        _check_shown(*_upright(image))
        made = _clean(image, WIDTHS[0])
        return _webp(made, _box(*made.size, keep), WIDTHS[0])


def reencode(data: bytes) -> tuple[bytes, str]:
    """Return a picture of a document of any shape, drawn afresh, and its content type.

    Raises:
        PictureError: it is no picture, damaged, too large or moving.

    """
    with _opened(data) as image:
        made = _clean(image, _DOCUMENT_SIDE)
    made.thumbnail((_DOCUMENT_SIDE, _DOCUMENT_SIDE))
    file = io.BytesIO()
    made.save(file, "JPEG", quality=88)
    return file.getvalue(), "image/jpeg"


def _opened(data: bytes) -> Image.Image:
    """Read the header only, and refuse what is not worth decoding."""
    if len(data) > MOST_BYTES:
        raise PictureError(
            N_("The file is larger than %(most)s MB. Please send a smaller one."),
            most=MOST_BYTES // 2**20,
        )
    try:
        image = Image.open(io.BytesIO(data), formats=_FORMATS)
        width, height = image.size
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_large() from error
    except Exception as error:
        # A file made to hurt can break a reader in any way.
        raise PictureError(_what_it_is(data)) from error
    if width * height > MOST_PIXELS or max(width, height) > MOST_SIDE:
        raise _too_large()
    # MPO: a phone's JPEG with a second picture behind it; the first one counts.
    if image.format != "MPO" and getattr(image, "n_frames", 1) != 1:
        raise PictureError(N_("The picture moves. Please send one that stands still."))
    return image


def _too_large() -> PictureError:
    return PictureError(
        N_(
            "The picture is too large: at most %(side)s pixels on each side and "
            "%(most)s million in all. Please make it smaller."
        ),
        side=MOST_SIDE,
        most=MOST_PIXELS // 1_000_000,
    )


def _what_it_is(data: bytes) -> str:
    if data.startswith((b"\xff\xd8", b"\x89PNG", b"RIFF")):
        return _DAMAGED
    for sign, message in _OTHERS:
        if sign in data[:1000]:
            return message
    return N_("This is not a picture that can be used. Please send a JPEG, PNG or WebP file.")


def _upright(image: Image.Image) -> tuple[int, int]:
    """Return width and height as people see them."""
    try:
        turned = image.getexif().get(ExifTags.Base.Orientation) in _TURNED
    except Exception as error:
        raise PictureError(_DAMAGED) from error
    return (image.height, image.width) if turned else image.size


def _check_shown(width: int, height: int) -> None:
    if width < LEAST_WIDTH or height < LEAST_HEIGHT:
        raise PictureError(
            N_(
                "The picture has %(width)s by %(height)s pixels; it needs %(least_width)s by "
                "%(least_height)s at least. Please send a larger one."
            ),
            width=width,
            height=height,
            least_width=LEAST_WIDTH,
            least_height=LEAST_HEIGHT,
        )


def _box(width: int, height: int, keep: Keep) -> tuple[int, int, int, int]:
    """Return the largest 4:3 part: left, top, right, bottom."""
    wide, high = min(width, height * 4 // 3), min(height, width * 3 // 4)
    share = {Keep.START: 0, Keep.MIDDLE: 1, Keep.END: 2}[keep]
    left, top = (width - wide) * share // 2, (height - high) * share // 2
    return left, top, left + wide, top + high


def _clean(image: Image.Image, enough: int) -> Image.Image:
    """Return what is to be seen in a fresh image: upright, sRGB, nothing behind it.

    It is made no finer than needed for both sides to have ``enough`` pixels; a JPEG is
    not even decoded finer.
    """
    try:
        image.draft(None, (enough, enough))
        with _one_at_a_time:
            image.load()
            times = min(image.size) // enough
            if times > 1 and image.mode in _REDUCED:
                image = image.reduce(times)
            seen = _in_srgb(ImageOps.exif_transpose(image), image.info.get("icc_profile"))
    except Exception as error:
        raise PictureError(_DAMAGED) from error
    fresh = Image.new("RGB", seen.size, "white")
    # Where it is transparent, white shows.
    fresh.paste(seen, mask=seen.getchannel("A") if "A" in seen.getbands() else None)
    return fresh


def _in_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    if image.mode.startswith("I"):
        # Sixteen bits of grey: the upper eight are what a screen can show.
        image = image.convert("I").point(lambda level: level * (1 / 256)).convert("L")
    if image.mode == "P":
        return image.convert("RGBA")
    if profile and image.mode in {"RGB", "RGBA", "L", "CMYK"}:
        try:
            found = ImageCms.profileToProfile(
                image,
                ImageCms.ImageCmsProfile(io.BytesIO(profile)),
                _SRGB,
                outputMode="RGBA" if image.mode == "RGBA" else "RGB",
            )
            return found or image
        except (ImageCms.PyCMSError, OSError):
            # A broken profile says nothing about the colours.
            pass
    return image.convert("RGBA" if "transparency" in image.info or "A" in image.mode else "RGB")


def _webp(image: Image.Image, box: tuple[int, int, int, int], width: int) -> bytes:
    shown = image.resize(
        (width, width * 3 // 4), Image.Resampling.LANCZOS, box=box, reducing_gap=3.0
    )
    file = io.BytesIO()
    shown.save(file, "WEBP", quality=80, method=4)
    return file.getvalue()
