"""The real peers, each in its environment.

What `edgeocr-bench peer install` has not made yet is made where all tools are asked for, but for
environments of gigabytes: those are only tested where somebody has them.
"""

import os
from pathlib import Path

import pytest

from edgeocr_benchmarks.detection_metrics import page_counts
from edgeocr_benchmarks.engines import EngineProcess
from edgeocr_benchmarks.page import PageSize, render_page
from edgeocr_benchmarks.peers import PEERS, install_peer, is_installed, peer_engine
from edgeocr_benchmarks.text_metrics import line_counts

GIGABYTES = {"easyocr-1.7.2": 5.9, "paddleocr-2.10.0": 1.6}
"""Of an environment on x86-64."""


def make_sure_of(name: str) -> None:
    """Skips the test of a peer that is not there and is not to be installed for it."""
    if is_installed(name):
        return
    if os.environ.get("EDGEOCR_ALL_TOOLS") != "1":
        pytest.skip(PEERS[name].advice or f"run `edgeocr-bench peer install {name}`")
    if name in GIGABYTES:
        pytest.skip(f"{GIGABYTES[name]} GB are too much to install for a test of {name}")
    install_peer(name)


@pytest.mark.parametrize("name", PEERS)
def test_peer_reads_a_page_and_a_line(name: str, tmp_path: Path) -> None:
    make_sure_of(name)
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
