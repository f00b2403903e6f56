"""The real peers, where `edgeocr-bench peer install` has made their environments."""

from pathlib import Path

import pytest

from edgeocr_benchmarks.detection_metrics import page_counts
from edgeocr_benchmarks.engines import EngineProcess
from edgeocr_benchmarks.page import PageSize, render_page
from edgeocr_benchmarks.peers import PEERS, is_installed, peer_engine
from edgeocr_benchmarks.text_metrics import line_counts


@pytest.mark.parametrize("name", PEERS)
def test_peer_reads_a_page_and_a_line(name: str, tmp_path: Path) -> None:
    if not is_installed(name):
        pytest.skip(PEERS[name].advice or f"run `edgeocr-bench peer install {name}`")
    page = render_page(PageSize(width=640, height=240, lines=5))
    page.save(tmp_path / "page.png")
    left, top = page.regions[0].polygon[0].astype(int) - 4
    right, bottom = page.regions[0].polygon[2].astype(int) + 4
    page.image.crop((left, top, right, bottom)).save(tmp_path / "line.png")
    with EngineProcess(peer_engine(name), threads=1) as process:
        description = process.describe()
        reading = process.read(tmp_path / "page.png", "page")
        line = process.read(tmp_path / "line.png", "line")
    assert len(description.versions) > 1  # Python's is always there
    assert reading.peak_bytes > 1e7
    assert reading.error is None
    counts = page_counts(page.regions, reading.lines, fold_case=False)
    # Its classifier turns one clean line or another; a wrong channel order, size or character
    # list would leave nothing readable.
    assert counts.characters.hmean > 0.7
    assert counts.detection.recall >= 0.6
    assert line_counts(page.regions[0].text, line.text, fold_case=False).cer < 0.2
