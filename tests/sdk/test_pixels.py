"""Tables equal the formula, inputs keep aspect and padding, crops follow PP-OCR."""

from typing import Literal

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgeocr.errors import ImageError
from edgeocr.geometry import transform_points
from edgeocr.pixels import (
    MAX_CROP_PIXELS,
    MAX_CROP_SIDE,
    crop_line,
    fit,
    input_table,
    may_be_single_character,
    stretch,
)

Three = tuple[float, float, float]
Order = Literal["BGR", "RGB"]


def _bilinear(image: NDArray[np.uint8], height: int, width: int) -> NDArray[np.int64]:
    """Weights of 8 bits, rounded half to even; one rounding, at the end."""

    def axis(source: int, side: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        place = 1 / (side / source) * (np.arange(side) + 0.5) - 0.5
        whole = np.floor(place).astype(np.int64)
        beyond = (whole < 0) | (whole >= source - 1)
        weight = np.where(beyond, 0, np.rint((place - whole) * 256)).astype(np.int64)
        return np.clip(whole, 0, source - 1), weight

    first_y, weight_y = axis(image.shape[0], height)
    first_x, weight_x = axis(image.shape[1], width)
    next_y, next_x = (
        np.minimum(first + 1, side - 1)
        for first, side in ((first_y, image.shape[0]), (first_x, image.shape[1]))
    )
    pixels, weight_x, weight_y = image.astype(np.int64), weight_x[:, None], weight_y[:, None, None]
    rows = pixels[:, first_x] * (256 - weight_x) + pixels[:, next_x] * weight_x
    sums = rows[first_y] * (256 - weight_y) + rows[next_y] * weight_y
    rounded: NDArray[np.int64] = (sums + (1 << 15)) >> 16
    return rounded


@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    target=st.tuples(st.integers(1, 40), st.integers(1, 40)),
)
def test_stretching_fills_the_input_and_says_by_how_much(
    height: int, width: int, target: tuple[int, int]
) -> None:
    table = input_table(
        mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5), channel_order="BGR", scale=None, zero_point=0
    )
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    tensor, scale = stretch(image, height=target[0], width=target[1], table=table)
    resized = _bilinear(image, *target)
    # Half a step of eight bits: the table holds float32.
    np.testing.assert_allclose((tensor[0] + 1) * 127.5, resized, atol=1e-3)
    assert scale == (target[1] / width, target[0] / height)


three = st.tuples(st.floats(0.01, 1.0), st.floats(0.01, 1.0), st.floats(0.01, 1.0))
orders = st.sampled_from(["BGR", "RGB"])


@given(
    mean=three,
    std=three,
    order=orders,
    scale=st.floats(1e-3, 0.1),
    zero_point=st.integers(-128, 127),
)
def test_quantized_table_equals_the_formula_for_every_value(
    mean: Three, std: Three, order: Order, scale: float, zero_point: int
) -> None:
    table = input_table(mean=mean, std=std, channel_order=order, scale=scale, zero_point=zero_point)
    assert table.values.dtype == np.int8
    for channel in range(3):
        of_network = channel if order == "BGR" else 2 - channel
        for value in range(256):
            real = (value / 255 - mean[of_network]) / std[of_network]
            quantized = max(-128, min(127, round(real / scale) + zero_point))
            assert table.values[value, channel] == quantized


def test_our_own_normalisation_is_a_flipped_sign_bit() -> None:
    """(x - 128) / 128 with a scale of 1 / 128: the integers are those of the pixels."""
    table = input_table(
        mean=(128 / 255,) * 3, std=(128 / 255,) * 3, channel_order="BGR", scale=1 / 128
    )
    expected = (np.arange(256, dtype=np.uint8) ^ 0x80).view(np.int8)
    np.testing.assert_array_equal(table.values, np.stack([expected] * 3, axis=1))


@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    order=orders,
    quantized=st.booleans(),
    pad=st.none() | st.integers(0, 255),
    seed=st.integers(0, 9),
)
def test_fit_maps_pixels_and_pads(
    height: int, width: int, order: Order, quantized: bool, pad: int | None, seed: int
) -> None:
    """At scale 1: every pixel by its channel's formula, the rest filled."""
    image = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    table = input_table(
        mean=mean,
        std=std,
        channel_order=order,
        scale=0.02 if quantized else None,
        zero_point=-7 if quantized else 0,
    )
    batch, scales = fit(image, height=44, width=48, table=table, pad=pad, scale=1.0)
    assert scales == (1.0, 1.0)
    pixels = np.full((44, 48, 3), 0 if pad is None else pad, dtype=np.uint8)
    pixels[:height, :width] = image if order == "BGR" else image[..., ::-1]
    expected = (pixels / 255 - np.array(mean)) / np.array(std)
    if pad is None:
        expected[height:] = 0
        expected[:, width:] = 0
    if quantized:
        expected = np.clip(np.round(expected / 0.02) - 7, -128, 127)
    assert batch.shape == (1, 44, 48, 3)
    assert batch.dtype == (np.int8 if quantized else np.float32)
    np.testing.assert_array_equal(batch[0], expected.astype(batch.dtype))


@given(st.integers(1, 300), st.integers(1, 300), st.floats(0.01, 3) | st.none())
def test_fit_keeps_the_aspect_and_stays_inside(
    height: int, width: int, scale: float | None
) -> None:
    image = np.full((height, width, 3), 200, dtype=np.uint8)
    table = input_table(mean=(0.5,) * 3, std=(0.5,) * 3, channel_order="BGR", scale=None)
    batch, (scale_x, scale_y) = fit(image, height=64, width=96, table=table, scale=scale)
    inside = batch[0, ..., 0] != 0
    new_height, new_width = round(height * scale_y), round(width * scale_x)
    assert inside[:new_height, :new_width].all()
    assert inside.sum() == new_height * new_width
    wanted = min(64 / height, 96 / width, *([] if scale is None else [scale]))
    # Sides are rounded up to whole pixels.
    assert 0 <= new_height - height * wanted < 1 + 1e-6
    assert 0 <= new_width - width * wanted < 1 + 1e-6


def test_fit_survives_extreme_aspects() -> None:
    table = input_table(mean=(0.5,) * 3, std=(0.5,) * 3, channel_order="BGR", scale=None)
    for shape in ((1, 20_000, 3), (20_000, 1, 3)):
        batch, _ = fit(np.zeros(shape, dtype=np.uint8), height=64, width=64, table=table)
        assert batch.shape == (1, 64, 64, 3)


# --- crops -------------------------------------------------------------------------------


def _noise(height: int = 120, width: int = 200) -> NDArray[np.uint8]:
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return np.asarray(cv2.GaussianBlur(noise, (0, 0), 2), dtype=np.uint8)


def _quad(
    x: float, y: float, width: float, height: float, degrees: float = 0
) -> NDArray[np.float32]:
    turn = np.deg2rad(degrees)
    across = np.array([np.cos(turn), np.sin(turn)]) * width
    down = np.array([-np.sin(turn), np.cos(turn)]) * height
    origin = np.array([x, y])
    return np.array([origin, origin + across, origin + across + down, origin + down], np.float32)


@pytest.mark.parametrize("size", [(60, 20), (20, 60), (21, 31), (10, 15), (1, 1)])
def test_crop_of_an_upright_rectangle_is_the_rectangle(size: tuple[int, int]) -> None:
    """Turned by 90 degrees counter-clockwise from 1.5 times as high as wide."""
    image = _noise()
    crop = crop_line(image, _quad(30, 40, *size))
    expected = image[40 : 40 + size[1], 30 : 30 + size[0]]
    if size[1] >= 1.5 * size[0]:
        expected = np.rot90(expected)
    assert crop.turned == (size[1] >= 1.5 * size[0])
    np.testing.assert_array_equal(crop.pixels, expected)


@given(
    left=st.integers(-60, 330),
    top=st.integers(-60, 250),
    width=st.integers(1, 90),
    height=st.integers(1, 90),
    quarters=st.integers(0, 3),
    turned=st.booleans(),
)
def test_crop_of_whole_pixels_copies_them(
    left: int, top: int, width: int, height: int, quarters: int, turned: bool
) -> None:
    """On its feet, its side or its head; outside of the image its border is repeated."""
    image = _noise()
    quad = np.roll(_quad(left, top, width, height), -quarters, axis=0)
    x, y = left + np.arange(width), top + np.arange(height)
    if quarters in (1, 2):  # the corner at which the text begins is not one of its pixels
        x = x + 1
    if quarters in (2, 3):
        y = y + 1
    shown = image[
        np.clip(y, 0, image.shape[0] - 1)[:, None], np.clip(x, 0, image.shape[1] - 1)[None]
    ]
    crop = crop_line(image, quad, turned=turned)
    np.testing.assert_array_equal(crop.pixels, np.rot90(shown, quarters + turned))


def _keys_weights(part: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights of the four pixels around a place, R. Keys (1981) with OpenCV's a of -0.75."""
    a = -0.75
    x = np.stack([1 + part, part, 1 - part, 2 - part], axis=-1)
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    return np.where(x <= 1, near, far)


@pytest.mark.parametrize("degrees", [-30, 5, 45, 180])
@pytest.mark.parametrize("size", [(60, 20), (20, 50)])
@pytest.mark.parametrize("corner", [(80, 40), (-9, -7), (185, 105)])
def test_crop_is_the_cubic_at_32nds_of_a_pixel(
    size: tuple[int, int], degrees: float, corner: tuple[int, int]
) -> None:
    """Against a resampling in doubles, place by place, of the image with its border repeated."""
    image = _noise()
    quad = _quad(*corner, *size, degrees)
    quad[2] += 3  # a true perspective
    crop = crop_line(image, quad)
    height, width = crop.pixels.shape[:2]
    at = np.moveaxis(np.mgrid[:height, :width][::-1], 0, -1).reshape(-1, 2)
    steps = np.rint(transform_points(at, crop.to_image) * 32)
    whole = np.floor(steps / 32).astype(int)
    weights_x, weights_y = np.moveaxis(_keys_weights(steps / 32 - whole), 1, 0)
    taps = np.arange(-1, 3)
    rows = np.clip(whole[:, 1, None] + taps, 0, image.shape[0] - 1)
    columns = np.clip(whole[:, 0, None] + taps, 0, image.shape[1] - 1)
    around = image[rows[:, :, None], columns[:, None, :]].astype(float)
    exact = np.einsum("ny,nx,nyxc->nc", weights_y, weights_x, around)
    off = np.abs(crop.pixels.reshape(-1, 3) - np.clip(exact, 0, 255))
    # OpenCV adds in float32: off by some 1e-4 before the last rounding.
    assert off.max() <= 0.501


def test_crop_equals_warping_and_then_turning() -> None:
    image = np.asarray(cv2.GaussianBlur(_noise(), (5, 5), 0), dtype=np.uint8)
    for size in ((60, 20), (20, 50)):
        crop = crop_line(image, _quad(80, 40, *size, 7))
        upright = crop_line(image, _quad(80, 40, *size, 7), turned=False)
        expected = np.rot90(upright.pixels) if crop.turned else upright.pixels
        np.testing.assert_array_equal(crop.pixels, expected)


@given(
    width=st.integers(4, 90),
    height=st.integers(4, 90),
    degrees=st.floats(-180, 180),
    turned=st.none() | st.booleans(),
)
def test_the_map_back_finds_the_corners(
    width: int, height: int, degrees: float, turned: bool | None
) -> None:
    quad = _quad(100, 60, width, height, degrees)
    crop = crop_line(_noise(), quad, turned=turned)
    crop_height, crop_width = crop.pixels.shape[:2]
    if crop.turned:  # where np.rot90 puts the corners
        corners = [[0, crop_height - 1], [0, -1], [crop_width, -1], [crop_width, crop_height - 1]]
    else:
        corners = [[0, 0], [crop_width, 0], [crop_width, crop_height], [0, crop_height]]
    np.testing.assert_allclose(transform_points(np.array(corners), crop.to_image), quad, atol=1e-2)


def test_a_crop_shows_what_its_map_says() -> None:
    """A white dot of the image is found at the place that the map sends to it."""
    image = np.zeros((120, 200, 3), dtype=np.uint8)
    cv2.circle(image, (90, 70), 2, (255, 255, 255), -1)
    for quad in (_quad(60, 50, 80, 30, 10), _quad(75, 30, 30, 80, 5)):
        crop = crop_line(image, quad)
        y, x = np.argwhere(crop.pixels[..., 0] > 128).mean(axis=0)
        np.testing.assert_allclose(
            transform_points(np.array([[x, y]]), crop.to_image), [[90, 70]], atol=0.6
        )


@pytest.mark.parametrize(
    ("size", "expected"),
    [((20, 20), False), ((20, 29), False), ((20, 30), True), ((20, 49), True), ((20, 50), False)],
)
def test_single_characters_are_sought_among_short_tall_boxes(
    size: tuple[int, int], expected: bool
) -> None:
    quad = _quad(10, 10, *size)
    assert may_be_single_character(quad) == expected
    assert not crop_line(_noise(), quad, turned=False).turned


def test_quads_may_reach_over_the_edge() -> None:
    crop = crop_line(_noise(), _quad(-20, -10, 60, 20))
    assert crop.pixels.shape == (20, 60, 3)
    assert (crop.pixels[:, :20] == crop.pixels[:, :1]).all()  # the border is repeated


@pytest.mark.parametrize("size", [(1e6, 1e6), (1e7, 10), (3, 1e8), (40_000, 30)])
def test_no_quad_drives_the_memory(size: tuple[float, float]) -> None:
    pixels = crop_line(_noise(), _quad(0, 0, *size)).pixels
    assert max(pixels.shape) <= MAX_CROP_SIDE
    assert pixels.shape[0] * pixels.shape[1] <= MAX_CROP_PIXELS


@pytest.mark.parametrize(
    "quad",
    [np.zeros((4, 2)), np.full((4, 2), np.nan), _quad(5, 5, 50, 0), np.full((4, 2), np.inf)],
)
def test_quads_without_area_are_refused(quad: NDArray[np.float32]) -> None:
    with pytest.raises(ImageError, match="no area"):
        crop_line(_noise(), quad)


def test_quads_with_three_corners_on_a_line_are_refused() -> None:
    with pytest.raises(ImageError, match="three corners are on one line"):
        crop_line(_noise(), np.array([[10, 10], [50, 10], [50, 30], [50, 50]]))


def test_a_quad_that_is_not_convex_gives_a_crop() -> None:
    """Part of it lies beyond infinity; that part shows the border, and nothing overflows."""
    dart = np.array([[10, 10], [90, 10], [30, 30], [10, 90]])
    assert crop_line(_noise(), dart).pixels.any()


def test_a_crop_of_many_bands_is_seamless() -> None:
    image = np.asarray(cv2.resize(_noise(), (1200, 700)), dtype=np.uint8)
    whole = crop_line(image, _quad(30, 20, 900, 600, 3))
    assert whole.pixels.size > 10 * 3 * (1 << 15)
    middle = cv2.warpPerspective(
        image,
        whole.to_image,
        whole.pixels.shape[1::-1],
        flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    # OpenCV's own warp does not round places to 1/32 pixel, or rounds them elsewhere.
    assert np.abs(whole.pixels.astype(int) - middle).max() <= 6
