"""Teachers are tiny ONNX models here, whose map is how bright each pixel is."""

from __future__ import annotations

import io
import pickle
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import cv2
import matplotlib
import numpy as np
import pytest
from numpy.typing import NDArray

from edgeocr_training.data.page_image import EncodedImage
from edgeocr_training.data.pages import PagesConfig
from edgeocr_training.data.synthetic.pages import SyntheticPagesConfig
from edgeocr_training.data.teacher_maps import TeacherMapsConfig
from edgeocr_training.errors import DataError, RecipeError, SampleError

WriteTeacher = Callable[..., str]


@pytest.fixture
def config(tmp_path: Path, write_teacher: WriteTeacher) -> TeacherMapsConfig:
    return TeacherMapsConfig(
        model=write_teacher(),
        cache=str(tmp_path / "cache"),
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
        limit_side=64,
    )


def smooth_noise(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    noise = np.random.default_rng(seed).integers(0, 256, (height // 16, width // 16, 3))
    large = cv2.resize(noise.astype(np.uint8), (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray(large, dtype=np.uint8)


@pytest.fixture
def image(tmp_path: Path) -> EncodedImage:
    path = tmp_path / "page.png"
    cv2.imwrite(str(path), smooth_noise(96, 160))
    return EncodedImage(path)


def entry(config: TeacherMapsConfig) -> Path:
    (only,) = config.build().folder.iterdir()
    return only


def test_a_map_is_what_the_teacher_says(config: TeacherMapsConfig, image: EncodedImage) -> None:
    """To one level, for the order of its sums."""
    expected = image.pixels(1).mean(axis=2)
    values = config.build().map_of(image)
    assert values.dtype == np.uint8
    assert np.abs(values - expected).max() <= 1


def test_a_map_is_computed_once(config: TeacherMapsConfig, image: EncodedImage) -> None:
    """What lies in the cache is what is read."""
    config.build().map_of(image)
    other = io.BytesIO()
    np.save(other, np.full((96, 160), 77, dtype=np.uint8))
    entry(config).write_bytes(zlib.compress(other.getvalue()))
    assert (config.build().map_of(image) == 77).all()


@pytest.mark.parametrize("damage", ["cut", "empty", "flipped", "text", "compressed text"])
def test_a_damaged_entry_is_computed_again(
    config: TeacherMapsConfig, image: EncodedImage, damage: str
) -> None:
    teacher = config.build()
    first = teacher.map_of(image)
    path = entry(config)
    content = path.read_bytes()
    middle = len(content) // 2
    path.write_bytes(
        {
            "cut": content[:middle],
            "empty": b"",
            "flipped": content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :],
            "text": b"?" * 100,
            "compressed text": zlib.compress(b"?" * 100),
        }[damage]
    )
    np.testing.assert_array_equal(teacher.map_of(image), first)
    assert path.read_bytes() == content
    assert entry(config) == path, "nothing else may be left there"


def test_maps_of_other_teachers_lie_apart(
    config: TeacherMapsConfig, tmp_path: Path, write_teacher: WriteTeacher
) -> None:
    """Also of the same teacher that sees the image in another way; a copy of it is the same."""
    copied = tmp_path / "copy.onnx"
    copied.write_bytes(Path(config.model).read_bytes())
    assert replace(config, model=str(copied)).build().folder == config.build().folder
    others = [
        replace(config, model=write_teacher("other.onnx", weights=(1, 0, 0))),
        replace(config, mean=(0.5, 0.5, 0.5)),
        replace(config, std=(0.5, 0.5, 0.5)),
        replace(config, channel_order="RGB"),
        replace(config, limit_side=96),
        replace(config, limit_type="max"),
        replace(config, max_side=1000),
    ]
    folders = {other.build().folder for other in [config, *others]}
    assert len(folders) == 1 + len(others)


@pytest.mark.parametrize(("channel_order", "channel"), [("BGR", 0), ("RGB", 2)])
def test_the_teacher_sees_its_order_of_channels(
    config: TeacherMapsConfig,
    image: EncodedImage,
    write_teacher: WriteTeacher,
    channel_order: Literal["BGR", "RGB"],
    channel: int,
) -> None:
    model = write_teacher("first.onnx", weights=(1, 0, 0))
    config = replace(config, model=model, channel_order=channel_order)
    difference = config.build().map_of(image).astype(int) - image.pixels(1)[..., channel]
    assert np.abs(difference).max() <= 1


@pytest.mark.parametrize(
    ("limits", "shape"),
    [
        ((192, "min", 2000), (192, 320)),
        ((90, "max", 2000), (64, 96)),  # 54 x 90, to the nearest multiples
        ((192, "min", 160), (96, 160)),
    ],
)
def test_the_teacher_sees_the_image_within_its_limits(
    config: TeacherMapsConfig,
    image: EncodedImage,
    limits: tuple[int, Literal["min", "max"], int],
    shape: tuple[int, int],
) -> None:
    limit_side, limit_type, max_side = limits
    config = replace(config, limit_side=limit_side, limit_type=limit_type, max_side=max_side)
    assert config.build().map_of(image).shape == shape


def test_missing_maps_are_computed_and_broken_images_left_out(
    config: TeacherMapsConfig, tmp_path: Path
) -> None:
    paths = [tmp_path / f"{i}.png" for i in range(3)]
    for i, path in enumerate(paths):
        cv2.imwrite(str(path), smooth_noise(64, 64, i))
    broken = tmp_path / "broken.png"
    broken.write_bytes(paths[0].read_bytes()[:-30])
    teacher = config.build()
    teacher.compute_missing([*paths, broken, tmp_path / "missing.png"])
    assert len(list(teacher.folder.iterdir())) == 3
    with pytest.raises(SampleError, match=r"broken\.png"):
        teacher.map_of(EncodedImage(broken))


def test_teachers_pickle(config: TeacherMapsConfig, image: EncodedImage) -> None:
    """Also one that has run."""
    teacher = config.build()
    values = teacher.map_of(image)
    again = pickle.loads(pickle.dumps(teacher))
    entry(config).unlink()
    np.testing.assert_array_equal(again.map_of(image), values)


def test_teachers_that_cannot_teach_are_named(
    config: TeacherMapsConfig, image: EncodedImage, tmp_path: Path, write_teacher: WriteTeacher
) -> None:
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(Path(config.model).read_bytes()[:50])
    for model, message in (
        (str(tmp_path / "missing.onnx"), r"missing\.onnx: No such file"),
        (str(damaged), r"can't open the teacher .*damaged\.onnx"),
        (write_teacher("three.onnx", outputs=3), r"three\.onnx gives an array of \(1, 3"),
        (write_teacher("loud.onnx", weights=(9, 9, 9)), r"loud\.onnx .*its sigmoid"),
    ):
        with pytest.raises(DataError, match=message):
            replace(config, model=model).build().map_of(image)


def test_a_cache_that_cannot_be_written_is_named(
    config: TeacherMapsConfig, image: EncodedImage, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"can't write the teacher's map .*file.*Not a directory"):
        replace(config, cache=str(tmp_path / "file")).build().map_of(image)


@pytest.mark.parametrize("changes", [{"std": (0.0, 1.0, 1.0)}, {"limit_side": 31}, {"max_side": 0}])
def test_values_out_of_range_are_named(config: TeacherMapsConfig, changes: dict[str, Any]) -> None:
    with pytest.raises(RecipeError, match=next(iter(changes))):
        replace(config, **changes).build()


@pytest.mark.parametrize("copy_paste", [False, True])
def test_maps_are_warped_as_the_image_is(
    config: TeacherMapsConfig, tmp_path: Path, copy_paste: bool
) -> None:
    """The teacher says how bright a pixel is, so its warped map says how bright the sample is."""
    label = '[{"transcription": "a", "points": [[20, 20], [90, 24], [90, 60], [20, 50]]}]'
    rows = []
    for i in range(2):
        cv2.imwrite(str(tmp_path / f"{i}.png"), smooth_noise(96, 160, i))
        rows.append(f"{i}.png\t{label}\n")
    (tmp_path / "train.txt").write_text("".join(rows))
    data = PagesConfig(
        labels=(str(tmp_path / "train.txt"),),
        crop_size=128,
        copy_paste=copy_paste,
        teacher_maps=config,
        resize=(3.0, 3.0),  # so that the image is not blurred, which the map never is
    ).build()
    for seed in range(12):
        arrays = data.sample(seed % 2, np.random.default_rng(seed)).arrays
        assert arrays["teacher_map"].shape == (128, 128)
        assert arrays["teacher_map"].dtype == np.uint8
        difference = arrays["teacher_map"] - arrays["image"].mean(axis=2)
        # Rounded twice, and reduced images are means where the map is not.
        assert np.abs(difference).max() <= 6


def test_a_rendered_page_teaches_the_truth(config: TeacherMapsConfig, tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("some\nwords\nto\nwrite\n")
    font = Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf"
    data = PagesConfig(
        crop_size=256,
        synthetic=SyntheticPagesConfig(
            count=2,
            languages=("en",),
            fonts=(str(font),),
            corpora=(str(tmp_path / "words.txt"),),
            height=(200, 300),
            width=(200, 300),
        ),
        teacher_maps=config,
    ).build()
    assert len(data) == 2
    arrays = data.sample(1, np.random.default_rng(0)).arrays
    np.testing.assert_array_equal(arrays["teacher_map"], 255 * arrays["shrink_map"])
    assert arrays["shrink_map"].any()
    assert not Path(config.build().folder).exists()
