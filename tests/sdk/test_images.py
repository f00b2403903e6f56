"""Any source becomes upright 8-bit BGR, or an ImageError that says why not."""

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageOps

from edgeocr.errors import ImageError
from edgeocr.images import MAX_SIDE, load_image

Pixels = NDArray[np.uint8]


def _scene(height: int = 40, width: int = 60) -> Pixels:
    """Smooth, in colour, and different in every corner."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    blue, green, red = x / width, y / height, (x + y) / (width + height)
    return (np.dstack([blue, green, red]) * 250).astype(np.uint8)


def _pillow(bgr: Pixels) -> Image.Image:
    return Image.fromarray(bgr[..., ::-1].copy())


def _encode(image: Image.Image, form: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def _png_chunk(kind: bytes, content: bytes) -> bytes:
    return (
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
    )


SCENE = _scene()
HAS_GIF = tuple(int(part) for part in cv2.__version__.split(".")[:2]) >= (4, 11)
LOSSLESS: dict[str, Callable[[Image.Image], bytes]] = {
    "PNG": lambda image: _encode(image, "PNG"),
    "BMP": lambda image: _encode(image, "BMP"),
    "WebP": lambda image: _encode(image, "WEBP", lossless=True),
    "TIFF": lambda image: _encode(image, "TIFF"),
    "TIFF deflate": lambda image: _encode(image, "TIFF", compression="tiff_adobe_deflate"),
}


@pytest.mark.parametrize("form", LOSSLESS)
def test_lossless_files_give_their_exact_pixels(form: str) -> None:
    loaded = load_image(LOSSLESS[form](_pillow(SCENE)))
    assert loaded.dtype == np.uint8
    assert loaded.flags.c_contiguous
    np.testing.assert_array_equal(loaded, SCENE)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}])
def test_jpeg_gives_what_another_decoder_gives(options: dict[str, object]) -> None:
    data = _encode(_pillow(SCENE), "JPEG", quality=90, **options)
    expected = np.asarray(Image.open(io.BytesIO(data)))[..., ::-1].astype(int)
    # Decoders may round the inverse DCT and the chroma upsampling differently.
    assert np.abs(load_image(data).astype(int) - expected).max() <= 4


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_exif_orientation_is_undone(form: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[274] = orientation
    options: dict[str, object] = {"exif": exif}
    if form == "TIFF":
        options = {"tiffinfo": {274: orientation}}
    elif form == "WEBP":
        options["lossless"] = True
    else:
        options["quality"] = 95
    data = _encode(_pillow(SCENE), form, **options)
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    expected = np.asarray(upright)[..., ::-1].astype(int)
    loaded = load_image(data)
    assert loaded.shape == expected.shape
    assert np.abs(loaded.astype(int) - expected).max() <= 4  # JPEG decoders round differently
    np.testing.assert_array_equal(
        load_image(Image.open(io.BytesIO(data))), np.asarray(upright)[..., ::-1]
    )


def test_sixteen_bit_tiff_is_turned_upright() -> None:
    grey = SCENE[..., 0].astype(np.uint16) * 257
    data = _encode(Image.fromarray(grey), "TIFF", tiffinfo={274: 6})
    np.testing.assert_array_equal(load_image(data)[..., 0], np.rot90(SCENE[..., 0], -1))


def _on_white(bgra: Pixels) -> NDArray[np.float64]:
    alpha = bgra[..., 3:].astype(float) / 255
    return bgra[..., :3] * alpha + 255 * (1 - alpha)


def _transparent_scene() -> Pixels:
    alpha = np.linspace(0, 255, SCENE.shape[1]).astype(np.uint8)
    return np.dstack([SCENE, np.broadcast_to(alpha, SCENE.shape[:2])])


@pytest.mark.parametrize("form", ["PNG", "WebP", "TIFF", "Pillow", "array", "16-bit PNG"])
def test_alpha_is_laid_on_white(form: str) -> None:
    bgra = _transparent_scene()
    image = Image.fromarray(bgra[..., (2, 1, 0, 3)])
    source: Image.Image | Pixels | bytes
    if form == "array":
        source = bgra
    elif form == "Pillow":
        source = image
    elif form == "16-bit PNG":
        source = cv2.imencode(".png", bgra.astype(np.uint16) * 257)[1].tobytes()
    else:
        source = LOSSLESS[form](image)
    # Half a step of rounding; libtiff multiplies by alpha and rounds down before we add.
    tolerance = 1.5 if form == "TIFF" else 0.51
    assert np.abs(load_image(source) - _on_white(bgra)).max() <= tolerance


def test_sixteen_bit_tiff_with_plain_alpha_is_laid_on_white() -> None:
    bgra = _transparent_scene()
    data = cv2.imencode(".tiff", bgra.astype(np.uint16) * 257)[1].tobytes()
    assert np.abs(load_image(data) - _on_white(bgra)).max() <= 0.51


@pytest.mark.parametrize("mode", ["L", "1", "P", "LA", "CMYK", "YCbCr", "RGBa", "La", "PA", "HSV"])
def test_pillow_modes(mode: str) -> None:
    image = _pillow(SCENE)
    if mode == "PA":
        image = image.convert("P")
    elif mode in ("RGBa", "La"):
        image = image.convert(mode[:-1] + "A")
    converted = image.convert(mode)
    loaded = load_image(converted)
    back = converted.convert("LA") if mode == "La" else converted
    np.testing.assert_array_equal(loaded, np.asarray(back.convert("RGB"))[..., ::-1])


@pytest.mark.parametrize("as_file", [True, False])
@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled_and_not_cut(form: str, as_file: bool) -> None:
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    data = _encode(Image.fromarray(values), form)
    source = data if as_file else Image.open(io.BytesIO(data))
    expected = np.round(values / 257).astype(np.uint8)
    np.testing.assert_array_equal(load_image(source)[..., 1], expected)
    np.testing.assert_array_equal(load_image(values)[..., 1], expected)


def test_pillow_integers_beyond_16_bits_and_floats_are_refused() -> None:
    with pytest.raises(ImageError, match="32-bit"):
        load_image(Image.fromarray(np.full((4, 4), 70_000, dtype=np.int32)))
    with pytest.raises(ImageError, match='mode "F"'):
        load_image(Image.fromarray(np.zeros((4, 4), dtype=np.float32)))


@pytest.mark.parametrize("ycck", [False, True])
def test_cmyk_jpeg(ycck: bool) -> None:
    image = _pillow(SCENE).convert("CMYK")
    if ycck:
        # The ink in Y, Cb and Cr, which the last byte of the Adobe marker announces. Pillow
        # stores CMYK inverted, as Adobe does.
        ink = ImageOps.invert(_pillow(SCENE)).convert("YCbCr")
        planes = [ImageOps.invert(plane) for plane in ink.split()]
        image = Image.merge("CMYK", [*planes, Image.new("L", ink.size)])
    data = _encode(image, "JPEG", quality=95, subsampling=0)
    if ycck:
        marker = data.index(b"Adobe")
        data = data[: marker + 11] + b"\x02" + data[marker + 12 :]
    loaded = load_image(data).astype(int)
    expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))[..., ::-1].astype(int)
    # Without an ink profile both decoders multiply by K, and round differently.
    assert np.abs(loaded - expected).max() <= 6
    assert np.abs(loaded - SCENE).max() <= 16  # and JPEG is lossy


@pytest.mark.parametrize("transparent", [False, True])
def test_palette_png(transparent: bool) -> None:
    palette = _pillow(SCENE).quantize(16)
    data = _encode(palette, "PNG", **({"transparency": 3} if transparent else {}))
    expected = np.asarray(palette.convert("RGB"))[..., ::-1].copy()
    if transparent:
        expected[np.asarray(palette) == 3] = 255
    np.testing.assert_array_equal(load_image(data), expected)
    np.testing.assert_array_equal(load_image(Image.open(io.BytesIO(data))), expected)


@pytest.mark.skipif(not HAS_GIF, reason="this OpenCV has no GIF and no animated WebP decoder")
@pytest.mark.parametrize("form", ["GIF", "WEBP"])
def test_first_picture_of_an_animation(form: str) -> None:
    first = _pillow(SCENE).quantize(64).convert("RGB")
    others = [first.rotate(180), first.rotate(90)]
    options = {"lossless": True} if form == "WEBP" else {}
    data = _encode(first, form, save_all=True, append_images=others, **options)
    np.testing.assert_array_equal(load_image(data), np.asarray(first)[..., ::-1])


@pytest.mark.skipif(HAS_GIF, reason="this OpenCV decodes GIF")
def test_gif_without_a_decoder_says_which_opencv_is_needed() -> None:
    with pytest.raises(ImageError, match=r"need 4\.11"):
        load_image(_encode(_pillow(SCENE).quantize(64), "GIF"))


def test_first_picture_of_an_animated_png_and_of_a_multipage_tiff() -> None:
    image = _pillow(SCENE)
    for form in ("PNG", "TIFF"):
        data = _encode(image, form, save_all=True, append_images=[image.rotate(180)])
        np.testing.assert_array_equal(load_image(data), SCENE)


@pytest.mark.parametrize("shape", [(1, 1), (1, 20_000), (20_000, 1)])
def test_extreme_shapes(shape: tuple[int, int]) -> None:
    data = _encode(Image.new("RGB", (shape[1], shape[0]), (1, 2, 3)), "PNG")
    loaded = load_image(data)
    assert loaded.shape == (*shape, 3)
    assert (loaded == (3, 2, 1)).all()


def test_arrays() -> None:
    grey = SCENE[..., 0]
    np.testing.assert_array_equal(load_image(grey), np.dstack([grey] * 3))
    np.testing.assert_array_equal(load_image(grey[..., None]), np.dstack([grey] * 3))
    np.testing.assert_array_equal(load_image(SCENE), SCENE)
    flipped = load_image(SCENE[:, ::-1])
    assert flipped.flags.c_contiguous
    np.testing.assert_array_equal(flipped, SCENE[:, ::-1])


@pytest.mark.parametrize(
    "array",
    [
        np.full((4, 4, 3), np.nan),
        np.zeros((4, 4, 3), dtype=np.float32),
        np.zeros((4, 4, 3), dtype=np.int64),
        np.zeros((4, 4), dtype=bool),
        np.zeros((4, 4), dtype=object),
        np.zeros(4, dtype=np.uint8),
        np.zeros((4, 4, 2), dtype=np.uint8),
        np.zeros((3, 4, 4), dtype=np.uint8)[None],
    ],
)
def test_other_arrays_are_refused_with_what_is_accepted(array: NDArray[np.uint8]) -> None:
    with pytest.raises(ImageError, match=r"\(H, W, 3\) BGR .* uint8"):
        load_image(array)


@pytest.mark.parametrize("shape", [(0, 4, 3), (4, 0), (0, 0, 1)])
def test_empty_arrays_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ImageError, match="empty"):
        load_image(np.zeros(shape, dtype=np.uint8))


@pytest.mark.parametrize("source", [None, 3, [[0]], object()])
def test_other_types_are_refused(source: object) -> None:
    with pytest.raises(ImageError, match="give a path"):
        load_image(source)  # type: ignore[arg-type]


def test_files_by_content_and_not_by_name(tmp_path: Path) -> None:
    path = tmp_path / "page.jpg"
    path.write_bytes(LOSSLESS["PNG"](_pillow(SCENE)))
    np.testing.assert_array_equal(load_image(path), SCENE)
    np.testing.assert_array_equal(load_image(str(path)), SCENE)


def test_what_is_no_image_file_is_named(tmp_path: Path) -> None:
    text = tmp_path / "text.jpg"
    text.write_text("Just words.")
    empty = tmp_path / "empty.png"
    empty.touch()
    cases = {
        text: "no JPEG, PNG",
        empty: "0 bytes",
        tmp_path: "folder",
        tmp_path / "missing.png": "no such file",
    }
    for path, reason in cases.items():
        with pytest.raises(ImageError, match=reason) as caught:
            load_image(path)
        assert str(path) in str(caught.value)
    for name in ("with\0nul", "x" * 5000):
        with pytest.raises(ImageError):
            load_image(name)


def _all_formats() -> dict[str, bytes]:
    image = _pillow(SCENE)
    files = {form: encode(image) for form, encode in LOSSLESS.items()}
    files["JPEG"] = _encode(image, "JPEG")
    files["progressive JPEG"] = _encode(image, "JPEG", progressive=True)
    files["WebP lossy"] = _encode(image, "WEBP")
    files["WebP with alpha"] = _encode(image.convert("RGBA"), "WEBP", exact=True)
    if HAS_GIF:
        files["GIF"] = _encode(image.quantize(64), "GIF")
    return files


FILES = _all_formats()


@pytest.mark.parametrize("form", FILES)
@pytest.mark.parametrize("part", [0.02, 0.3, 0.6, 0.9, 0.97])
def test_files_that_were_cut_off_are_refused(
    form: str, part: float, capfd: pytest.CaptureFixture[str]
) -> None:
    """A decoder that pads the missing half with grey would read half a page in silence."""
    with pytest.raises(ImageError):
        load_image(FILES[form][: int(len(FILES[form]) * part)])
    assert "WARN" not in capfd.readouterr().err


def test_a_jpeg_whose_thumbnail_is_complete_but_whose_picture_is_not() -> None:
    thumbnail = _encode(_pillow(SCENE).resize((8, 8)), "JPEG")
    exif = b"\xff\xe1" + struct.pack(">H", len(thumbnail) + 2) + thumbnail
    data = b"\xff\xd8" + exif + FILES["JPEG"][2:]
    assert load_image(data).shape == SCENE.shape
    with pytest.raises(ImageError, match="cut off"):
        load_image(data[:-200])


def test_trailing_bytes_do_no_harm() -> None:
    for form in ("JPEG", "PNG"):
        expected = load_image(FILES[form])
        np.testing.assert_array_equal(load_image(FILES[form] + b"trailer" * 9), expected)


def test_a_flipped_byte_in_a_png_is_noticed() -> None:
    data = bytearray(FILES["PNG"])
    data[data.index(b"IDAT") + 20] ^= 1
    with pytest.raises(ImageError, match="corrupt"):
        load_image(bytes(data))


def _bombs() -> dict[str, bytes]:
    """Tiny files that claim 20000 x 20000 pixels."""
    side = 20_000
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    jpeg = bytearray(FILES["JPEG"])
    frame = jpeg.index(b"\xff\xc0")
    struct.pack_into(">HH", jpeg, frame + 5, side, side)
    bmp = bytearray(FILES["BMP"])
    struct.pack_into("<ii", bmp, 18, side, -side)
    tiff = struct.pack("<2sHIH", b"II", 42, 8, 2)
    tiff += struct.pack("<HHII", 256, 4, 1, side) + struct.pack("<HHII", 257, 4, 1, side)
    extent = (side - 1).to_bytes(3, "little")
    extended = b"VP8X" + struct.pack("<I", 10) + bytes(4) + extent + extent
    lossless = struct.pack("<4sIBI", b"VP8L", 5, 0x2F, 16383 | 16383 << 14) + b"\0"
    lossy = (
        struct.pack("<4sI", b"VP8 ", 10) + b"\0\0\0\x9d\x01\x2a" + struct.pack("<HH", 16383, 16383)
    )
    return {
        "PNG": b"\x89PNG\r\n\x1a\n" + _png_chunk(b"IHDR", header) + _png_chunk(b"IEND", b""),
        "JPEG": bytes(jpeg),
        "GIF": b"GIF89a" + struct.pack("<HH", side, side) + b"\0\0\0;",
        "BMP": bytes(bmp),
        "TIFF": tiff + bytes(4),
        **{
            f"WebP {kind}": struct.pack("<4sI4s", b"RIFF", len(body) + 4, b"WEBP") + body
            for kind, body in (("VP8X", extended), ("VP8L", lossless), ("VP8", lossy))
        },
    }


BOMBS = _bombs()


@pytest.mark.parametrize("form", BOMBS)
def test_header_bombs_are_refused_before_they_are_decoded(
    form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def decode(*_: object) -> None:
        raise AssertionError("the decoder was called")

    monkeypatch.setattr(cv2, "imdecode", decode)
    with pytest.raises(ImageError, match=r"more than the limit of 100000000"):
        load_image(BOMBS[form])


@pytest.mark.parametrize("form", FILES)
def test_max_pixels_is_the_callers(form: str) -> None:
    assert load_image(FILES[form], max_pixels=2400).shape == SCENE.shape
    with pytest.raises(ImageError, match="2399"):
        load_image(FILES[form], max_pixels=2399)


def test_max_pixels_holds_for_arrays_and_pillow_images() -> None:
    for source in (SCENE, _pillow(SCENE)):
        with pytest.raises(ImageError, match="2399"):
            load_image(source, max_pixels=2399)


def test_sides_beyond_16_bits_are_refused() -> None:
    with pytest.raises(ImageError, match="cut it in parts"):
        load_image(np.zeros((1, MAX_SIDE + 1), dtype=np.uint8))


def test_float_tiff_is_refused() -> None:
    data = _encode(Image.fromarray(SCENE[..., 0].astype(np.float32)), "TIFF")
    with pytest.raises(ImageError, match="float32 samples"):
        load_image(data)


def test_a_pillow_image_whose_file_was_cut_off() -> None:
    data = FILES["PNG"]
    with pytest.raises(ImageError, match="Pillow"):
        load_image(Image.open(io.BytesIO(data[: len(data) // 2])))


def test_broken_exif_means_upright() -> None:
    exif = b"\xff\xe1" + struct.pack(">H", 12) + b"Exif\0\0II*\0"
    data = FILES["JPEG"][:2] + exif + FILES["JPEG"][2:]
    assert load_image(data).shape == SCENE.shape


@given(st.binary(max_size=200), st.sampled_from([b"", *(data[:30] for data in FILES.values())]))
def test_random_bytes_give_an_image_error_or_an_image(tail: bytes, head: bytes) -> None:
    try:
        loaded = load_image(head + tail, max_pixels=1_000_000)
    except ImageError:
        return
    assert loaded.dtype == np.uint8


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from(sorted(FILES)),
    st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=8),
)
def test_corrupted_files_give_an_image_error_or_an_image(
    form: str, damage: list[tuple[int, int]]
) -> None:
    data = bytearray(FILES[form])
    for position, value in damage:
        data[position % len(data)] = value
    try:
        loaded = load_image(bytes(data), max_pixels=1_000_000)
    except ImageError:
        return
    assert loaded.ndim == 3
    assert loaded.shape[2] == 3
