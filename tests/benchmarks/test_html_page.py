import dataclasses
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from edgeocr_benchmarks.__main__ import main
from edgeocr_benchmarks.device_report import device_csv, device_report
from edgeocr_benchmarks.device_results import DeviceResult, State, Sustained, Throughput
from edgeocr_benchmarks.html_page import NARROW, WIDE, html_page
from edgeocr_benchmarks.instruction_results import InstructionResult
from edgeocr_benchmarks.results import read_result, write_result

MakeDeviceResult = Callable[..., DeviceResult]

RESULTS = Path(__file__).resolve().parents[2] / "benchmarks/results"
PAGES = (("a", 5, 320_000), ("b", 10, 320_000), ("c", 20, 640_000), ("d", 40, 640_000))
PI_5 = {
    "architecture": "aarch64",
    "board": "Raspberry Pi 5",
    "cpu": ["4 x Cortex-A76"],
    "cpus": 4,
    "cpuinfo_max_freq": {str(cpu): "2400000" for cpu in range(4)},
}


class Reader(HTMLParser):
    """Refuses tags that are not closed, and gathers what is shown and what is referred to."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""
        self.tags: list[str] = []
        self.references: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.references += [
            value or "" for name, value in attributes if name in ("src", "href", "xlink:href")
        ]
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += data + "\n"


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    return reader


@pytest.fixture
def full(make_device_result: MakeDeviceResult) -> DeviceResult:
    """With everything that has a plot."""
    facts = {"temperature_c": {"cpu": 61.0}, "scaling_cur_freq_khz": {"3": "2400000"}}
    return make_device_result(
        ms=tuple(100.0 + i % 5 for i in range(15)),
        bundle="edge <b>bold</b> & co",
        threads=(1, 2, 4),
        pages=PAGES,
        environment=PI_5,
        states=tuple(State(at_s=float(at), facts=facts) for at in range(0, 100, 9)),
        throughput=(
            Throughput(
                bundle="edge <b>bold</b> & co",
                processes=2,
                images=40,
                seconds=10.0,
                peak_bytes=200_000_000,
                pss_bytes=None,
            ),
        ),
        sustained=(
            Sustained(
                bundle="edge <b>bold</b> & co",
                threads=4,
                cores=(),
                began_s=90.0,
                ended_s=99.0,
                image="a",
                at_s=(1.0, 2.0, 3.0),
                ms=(100.0, 101.0, 120.0),
            ),
        ),
    )


def test_a_page_needs_nothing_but_itself(full: DeviceResult) -> None:
    page = html_page([full])
    reader = read(page)
    assert reader.references == []
    assert not set(reader.tags) & {"script", "link", "img", "iframe", "object", "foreignobject"}
    assert "url(" not in page
    assert "@import" not in page
    assert 'name="viewport"' in page
    assert "prefers-color-scheme: dark" in page


def test_every_plot_is_drawn_for_wide_windows_and_for_phones(full: DeviceResult) -> None:
    page = html_page([full])
    titles = re.findall(r"<h3>(.*?)</h3>", page)
    assert titles == [
        "Warm reads about their median",
        "Where the time goes",
        "What a page costs",
        "What more threads bring",
        "Arithmetic against the peak of the cores",
        "Pages per second of several processes",
        "Reading without a rest",
        "The hottest sensor",
        "The highest clock",
    ]
    drawn = re.findall(r'<svg viewBox="0 0 (\d+) \d+"', page)
    assert drawn == [str(WIDE), str(NARROW)] * len(titles)


def test_instructions_are_drawn_by_network_and_board() -> None:
    recorded = RESULTS / "instructions-ppocrv4-int8.json"
    result = read_result(recorded)
    assert isinstance(result, InstructionResult)
    again = dataclasses.replace(result, bundle={**result.bundle, "precision": "fp32"})
    page = html_page([result, again])
    reader = read(page)
    assert re.findall(r"<h3>(.*?)</h3>", page) == [
        "Instructions of det at 640x640",
        "Instructions of cls at 48x192",
        "Instructions of rec by the width of its input",
        "A whole page, from its file to its text",
    ]
    drawn = re.findall(r'<svg viewBox="0 0 (\d+) \d+"', page)
    assert drawn == [str(WIDE), str(NARROW)] * 4
    assert " ms" not in reader.text
    for board in result.boards:
        for precision in ("int8", "fp32"):
            assert f"{board.board} ({board.processor}), ppocrv4 {precision}" in reader.text
        det = sum(step.instructions[0] for step in board.steps if step.step.startswith("det."))
        assert f"{det / 1e6:,.0f} M" in reader.text
    assert reader.text.count("Instructions of ppocrv4 int8 over those of ppocrv4 fp32") == 1
    assert reader.text.count("1.00\n") == 3 * 6  # of six networks on three boards


def test_size_is_set_against_accuracy_where_bundles_differ(full: DeviceResult) -> None:
    small = dataclasses.replace(full.bundles[0], name="small", bytes={"det": 500_000})
    scores = tuple(dataclasses.replace(score, bundle="small") for score in full.scores)
    both = dataclasses.replace(full, bundles=(*full.bundles, small), scores=(*full.scores, *scores))
    page = html_page([both])
    assert "<h3>Size against accuracy</h3>" in page
    assert "small: 0.5, 95</title>" in page
    assert "Size against accuracy" not in html_page([full])


def test_nothing_is_drawn_outside_of_its_plot(full: DeviceResult) -> None:
    page = html_page([full])
    for width, height, body in re.findall(
        r'<svg viewBox="0 0 (\d+) (\d+)".*?>(.*?)</svg>', page, re.DOTALL
    ):
        for name, limit in (("x", width), ("cx", width), ("x1", width), ("x2", width)):
            for value in re.findall(rf'\b{name}="([-\d.]+)"', body):
                assert -0.1 <= float(value) <= float(limit) + 0.1
        for name in ("y", "cy", "y1", "y2"):
            for value in re.findall(rf'\b{name}="([-\d.]+)"', body):
                assert -0.1 <= float(value) <= float(height) + 0.1


def test_names_are_text_and_no_markup(full: DeviceResult) -> None:
    reader = read(html_page([full]))
    assert "edge <b>bold</b> & co, 1 thread" in reader.text
    # The tiles have figures in b; none of them is the bundle's name.
    assert "bold" not in re.findall(r"<b>(.*?)</b>", html_page([full]))


def test_figures_are_those_of_the_samples(full: DeviceResult) -> None:
    text = read(html_page([full])).text
    assert "102 ms" in text  # the median of 100, 101, ... 104
    assert "95.0 %" in text  # characters
    assert "4.2 MB" in text
    # 75 lines of 0.1 GMAC in 4 x 40.8 ms, of one core's 2 x 16 x 2.4 GMAC/s.
    assert "46.0 GMAC/s, 60 %" in text
    assert "Invalid" not in text


def test_an_invalid_result_says_so_first(full: DeviceResult) -> None:
    throttled = tuple(State(at_s=float(at), facts={"throttled": 4}) for at in (0, 50, 99))
    text = read(html_page([dataclasses.replace(full, states=throttled)])).text
    assert text.index("Invalid: do not use these times.") < text.index("Warm reads")
    assert "the board reported throttling" in text


def test_an_emulated_board_has_no_times(full: DeviceResult) -> None:
    emulated = dataclasses.replace(full, environment={**PI_5, "emulated": "qemu-user"})
    text = read(html_page([emulated])).text
    assert "Invalid: do not use these times." in text
    assert " ms" not in text
    assert "GMAC/s" not in text
    assert "Accuracy in the same run" in text
    assert "Operators of" in text
    assert " ms" not in device_report([emulated])
    assert len(device_csv([emulated]).splitlines()) == 1


def test_speed_and_accuracy_of_engines_have_a_place(tmp_path: Path, full: DeviceResult) -> None:
    recorded = Path(__file__).with_name("recorded_speed.json")
    write_result(full, tmp_path / "device.json")
    html, csv = tmp_path / "page.html", tmp_path / "rows.csv"
    files = [str(recorded), str(tmp_path / "device.json")]
    assert main(["show", *files, "--html", str(html), "--csv", str(csv)]) == 0
    text = read(html.read_text(encoding="utf-8")).text
    assert "Warm reads of rendered page" in text
    assert "1,653 ms" in text
    assert "The same about their median" in text
    header, *rows = csv.read_text(encoding="utf-8").splitlines()
    assert header.startswith("created,target,bundle,precision,threads,limit_side,page,metric")
    total = next(row for row in rows if ",1,,,total," in row)
    assert total.startswith(
        "2025-01-02T03:04:05Z,local,edge <b>bold</b> & co,int8,1,,,total,ms,yes"
    )
    assert read_result(tmp_path / "device.json") == full
