"""The command writes folders that the rest of the project reads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgeocr_benchmarks.labels import read_labels
from edgeocr_training.data.synthetic.__main__ import main
from edgeocr_training.data.synthetic.label_files import write_pages
from edgeocr_training.data.synthetic.pages import SyntheticPagesConfig
from edgeocr_training.errors import DataError

MakeConfig = Callable[..., SyntheticPagesConfig]


@pytest.fixture
def arguments(latin_font: Path, corpus: Path, tmp_path: Path) -> list[str]:
    return (
        f"--out {tmp_path / 'out'} --languages en --fonts {latin_font} --corpora {corpus} "
        "--height 200 300 --width 200 300"
    ).split()


def test_pages_and_lines_are_read_back(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, "--pages", "5", "--lines", "12"]) == 0
    written = [Path(path) for path in capsys.readouterr().out.split()]
    assert written == [tmp_path / "out/pages.txt", tmp_path / "out/lines.txt"]
    pages = read_labels(str(written[0]))
    assert pages.kind == "pages"
    assert len(pages.images) == 5
    assert sum(len(image.regions) for image in pages.images) > 5
    lines = read_labels(f"lines={written[1]}")
    assert len(lines.images) == 12
    assert all(image.text for image in lines.images)


def test_regions_are_those_that_were_rendered(pages_config: MakeConfig, tmp_path: Path) -> None:
    pages = pages_config(smallest_text=12.0).build()
    labels = write_pages(pages, tmp_path, count=6, seed=3)
    ignored = 0
    for number, image in enumerate(read_labels(str(labels)).images):
        rendered = pages.rendered(np.random.default_rng((3, number)))
        assert [region.dont_care for region in image.regions] == list(rendered.page.ignored)
        for region, polygon, text in zip(
            image.regions, rendered.page.polygons, rendered.texts, strict=True
        ):
            assert region.text == ("###" if region.dont_care else text)
            np.testing.assert_allclose(region.polygon, polygon, atol=0.051)
            ignored += region.dont_care
    assert ignored


def test_what_is_there_is_not_overwritten(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, "--lines", "2"]) == 0
    before = (tmp_path / "out/lines.txt").read_bytes()
    assert main([*arguments, "--lines", "3"]) == 2
    assert "lines.txt is already there" in capsys.readouterr().err
    assert (tmp_path / "out/lines.txt").read_bytes() == before


def test_interrupted_work_leaves_no_label_file(pages_config: MakeConfig, tmp_path: Path) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_pages(pages_config().build(), tmp_path, count=3, seed=0, progress=stop)
    assert not (tmp_path / "pages.txt").exists()
    assert len(list((tmp_path / "pages").iterdir())) == 1


def test_a_folder_that_cannot_be_made_is_named(pages_config: MakeConfig, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="file"):
        write_pages(pages_config().build(), tmp_path / "file", count=1, seed=0)


def test_known_errors_are_one_line(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, "--lines", "2", "--charset", "nowhere.txt"]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "nowhere.txt" in err


def test_nothing_to_render_is_an_error(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
