"""Pictures that people send: what is taken, what is refused, what is left behind."""

from __future__ import annotations

import io
import struct
import time
import zipfile
import zlib
from typing import Any

import pytest
from PIL import ExifTags, Image, ImageCms, PngImagePlugin

from cnn_offset.pictures import Keep, PictureError, ShapeError, prepare, preview, reencode

SECRET = b"<?php echo 'from here'; ?>"


def made(
    width: int = 1600, height: int = 1200, kind: str = "JPEG", mode: str = "RGB", **options: Any
) -> bytes:
    """Return a picture: red on the left, blue on the right, green at the bottom."""
    image = Image.new("RGB", (width, height), "red")
    image.paste("blue", (width // 2, 0, width, height))
    image.paste("green", (0, height - height // 4, width, height))
    file = io.BytesIO()
    image.convert(mode).save(file, kind, **options)
    return file.getvalue()


def read(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data), formats=["WEBP"])
    image.load()
    return image


def close(seen: Any, wanted: tuple[int, int, int]) -> bool:
    return all(abs(one - other) < 30 for one, other in zip(seen[:3], wanted, strict=True))


RED, BLUE, GREEN = (255, 0, 0), (0, 0, 255), (0, 128, 0)


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_of_nothing(width: int, height: int) -> bytes:
    """Return a PNG that says to be large and packs well."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(b"\0" * 100_000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def moving(kind: str) -> bytes:
    frames = [Image.new("RGB", (800, 600), colour) for colour in ("red", "blue", "green")]
    file = io.BytesIO()
    frames[0].save(file, kind, save_all=True, append_images=frames[1:])
    return file.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize(
    ("width", "height", "widths"),
    [
        (800, 600, [400, 800]),
        (1599, 1200, [400, 800]),
        (1600, 1200, [400, 800, 1600]),
        (4000, 3000, [400, 800, 1600]),
        # Half a percent more or less is taken as it is.
        (804, 600, [400, 800]),
        (800, 603, [400, 800]),
    ],
)
def test_good_pictures_in_all_widths_they_are_large_enough_for(
    kind: str, width: int, height: int, widths: list[int]
) -> None:
    files = prepare(made(width, height, kind))
    assert list(files) == widths
    for wide, data in files.items():
        image = read(data)
        assert image.size == (wide, wide * 3 // 4)
        assert image.mode == "RGB"
        assert close(image.getpixel((5, 5)), RED)
        assert close(image.getpixel((wide - 5, 5)), BLUE)
        assert close(image.getpixel((5, wide * 3 // 4 - 5)), GREEN)


@pytest.mark.parametrize("mode", ["L", "CMYK", "P", "1", "I;16", "RGBA", "LA"])
@pytest.mark.parametrize("size", [(800, 600), (3400, 2550)])
def test_every_kind_of_colours(mode: str, size: tuple[int, int]) -> None:
    kind = "JPEG" if mode == "CMYK" else "PNG"
    source = Image.new("L", size, 200)
    if mode == "I;16":
        source = Image.new("I;16", size, 200 * 256)
    elif mode in {"RGBA", "LA"}:
        source = source.convert(mode)
        source.putalpha(0)
    else:
        source = source.convert("RGB").convert(mode)
    file = io.BytesIO()
    source.save(file, kind)
    wanted = {"RGBA": 255, "LA": 255, "1": None}.get(mode, 200)
    seen = read(prepare(file.getvalue())[800]).getpixel((400, 300))
    if wanted is not None:
        assert close(seen, (wanted, wanted, wanted)), seen


def test_colours_of_a_profile_become_srgb() -> None:
    """In the profile of this test what is called red looks blue."""
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = srgb.replace(b"rXYZ", b"temp").replace(b"bXYZ", b"rXYZ").replace(b"temp", b"bXYZ")
    for kind in ("JPEG", "PNG", "WEBP"):
        files = prepare(made(800, 600, kind, icc_profile=swapped))
        assert close(read(files[800]).getpixel((5, 5)), BLUE), kind
    for profile in (b"no profile", b"", srgb):
        files = prepare(made(800, 600, icc_profile=profile))
        assert close(read(files[800]).getpixel((5, 5)), RED)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_it_is_turned_upright(orientation: int) -> None:
    upright = Image.open(io.BytesIO(made(800, 600, "PNG")))
    # What must be done to the upright picture, so that the camera's note puts it right.
    turned = {
        1: lambda image: image,
        2: lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        3: lambda image: image.transpose(Image.Transpose.ROTATE_180),
        4: lambda image: image.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
        5: lambda image: image.transpose(Image.Transpose.TRANSPOSE),
        6: lambda image: image.transpose(Image.Transpose.ROTATE_90),
        7: lambda image: image.transpose(Image.Transpose.TRANSVERSE),
        8: lambda image: image.transpose(Image.Transpose.ROTATE_270),
    }[orientation](upright)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    for kind in ("JPEG", "PNG", "WEBP"):
        file = io.BytesIO()
        turned.save(file, kind, exif=exif)
        image = read(prepare(file.getvalue())[800])
        assert close(image.getpixel((5, 5)), RED), (kind, orientation)
        assert close(image.getpixel((795, 5)), BLUE), (kind, orientation)
        assert close(image.getpixel((5, 595)), GREEN), (kind, orientation)


def with_secrets(kind: str) -> bytes:
    exif = Image.Exif()
    exif[ExifTags.Base.Artist] = SECRET.decode()
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitude] = (1.0, 2.0, 3.0)
    options: dict[str, Any] = {"exif": exif, "icc_profile": ImageCms.ImageCmsProfile(
        ImageCms.createProfile("sRGB")).tobytes()}  # fmt: skip
    if kind == "JPEG":
        options["comment"] = SECRET
    elif kind == "PNG":
        notes = PngImagePlugin.PngInfo()
        notes.add_text("Comment", SECRET.decode())
        options["pnginfo"] = notes
    else:
        options["xmp"] = SECRET
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("a.html", SECRET)
    return made(1600, 1200, kind, **options) + archive.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_nothing_but_the_picture_gets_through(kind: str) -> None:
    data = with_secrets(kind)
    assert SECRET in data
    document, content_type = reencode(data)
    assert content_type == "image/jpeg"
    for out in [*prepare(data).values(), preview(data, Keep.MIDDLE), document]:
        assert SECRET not in out
        for sign in (b"PK\x03\x04", b"Exif", b"EXIF", b"XMP ", b"ICCP", b"ICC_PROFILE", b"GPS"):
            assert sign not in out, sign
        image = Image.open(io.BytesIO(out))
        assert not image.getexif()
        assert not {"exif", "icc_profile", "comment", "xmp"} & set(image.info)


@pytest.mark.parametrize(
    ("width", "height", "keep", "corner"),
    [
        (2400, 1000, Keep.START, RED),
        (2400, 1000, Keep.END, BLUE),
        (1000, 2400, Keep.START, RED),
        (1000, 2400, Keep.END, GREEN),
    ],
)
def test_it_is_cropped_only_with_consent(
    width: int, height: int, keep: Keep, corner: tuple[int, int, int]
) -> None:
    data = made(width, height)
    with pytest.raises(ShapeError, match="4:3"):
        prepare(data)
    files = prepare(data, keep=keep)
    assert list(files) == [400, 800]
    x = 795 if corner is BLUE else 5
    y = 595 if corner is GREEN else 5
    assert close(read(files[800]).getpixel((x, y)), corner)
    shown = read(preview(data, keep))
    assert shown.size == (400, 300)
    assert close(shown.getpixel((x // 2, y // 2)), corner)


def test_a_little_more_than_half_a_percent_is_asked_about() -> None:
    for width, height in ((805, 600), (800, 604), (1500, 1000)):
        with pytest.raises(ShapeError):
            prepare(made(width, height))


SVG = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><script>1</script></svg>'
HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 100
BAD = {
    "a bomb": (png_of_nothing(50_000, 50_000), "too large"),
    "a flat bomb": (png_of_nothing(40_000, 30_000), "too large"),
    "a wide one": (png_of_nothing(40_000, 620), "too large"),
    "just too many pixels": (png_of_nothing(5001, 5000), "too large"),
    "rows missing": (png_of_nothing(4000, 3000), "damaged"),
    "cut off": (made()[:5000], "damaged"),
    "cut off PNG": (made(kind="PNG")[:200], "damaged"),
    "cut off WebP": (made(kind="WEBP")[:200], "damaged"),
    "only a beginning": (b"\xff\xd8\xff\xe0", "damaged"),
    "an SVG": (SVG, "SVG"),
    "a PDF": (b"%PDF-1.7\n1 0 obj", "PDF"),
    "a HEIC": (HEIC, "HEIC"),
    "a still GIF": (made(kind="GIF", mode="P"), "GIF"),
    "a moving GIF": (moving("GIF"), "GIF"),
    "a moving PNG": (moving("PNG"), "moves"),
    "a moving WebP": (moving("WEBP"), "moves"),
    "a TIFF": (made(kind="TIFF"), "not a picture that can be used"),
    "a BMP": (made(800, 600, kind="BMP"), "not a picture that can be used"),
    "a page": (b"<html><script>alert(1)</script>", "not a picture that can be used"),
    "nothing": (b"", "not a picture that can be used"),
    "zeros": (b"\0" * 1000, "not a picture that can be used"),
    "too narrow": (made(799, 600), "799 by 600 pixels"),
    "too low": (made(800, 599), "800 by 599 pixels"),
    "a point": (made(1, 1), "1 by 1 pixels"),
    "too heavy": (made() + b"\0" * 12 * 2**20, "larger than 12 MB"),
}  # fmt: skip


@pytest.mark.parametrize("which", BAD)
def test_bad_files_are_refused_in_words_of_their_own(which: str) -> None:
    data, words = BAD[which]
    began = time.perf_counter()
    with pytest.raises(PictureError, match=words):
        prepare(data)
    with pytest.raises(PictureError, match=words):
        preview(data, Keep.MIDDLE)
    assert time.perf_counter() - began < 2


def test_a_bomb_is_refused_by_its_header() -> None:
    began = time.perf_counter()
    for data in (png_of_nothing(50_000, 50_000), png_of_nothing(5001, 5000)):
        for _ in range(10):
            with pytest.raises(PictureError):
                prepare(data)
    assert time.perf_counter() - began < 0.5


def test_a_text_that_unpacks_to_much_is_refused() -> None:
    data = made(800, 600, "PNG")
    bomb = chunk(b"zTXt", b"a\0\0" + zlib.compress(b"\0" * 20_000_000))
    with pytest.raises(PictureError, match="damaged"):
        prepare(data[:33] + bomb + data[33:])


def test_the_second_picture_of_a_phone_is_left_behind() -> None:
    image = Image.open(io.BytesIO(made(800, 600)))
    file = io.BytesIO()
    image.save(file, "MPO", save_all=True, append_images=[Image.new("RGB", (400, 300))])
    assert Image.open(io.BytesIO(file.getvalue())).n_frames == 2
    assert close(read(prepare(file.getvalue())[800]).getpixel((5, 5)), RED)


def test_documents_may_have_any_shape() -> None:
    data, _type = reencode(made(500, 4000))
    assert Image.open(io.BytesIO(data)).size == (375, 3000)
    for which in ("a bomb", "cut off", "a PDF", "an SVG", "a moving PNG", "too heavy"):
        with pytest.raises(PictureError):
            reencode(BAD[which][0])
