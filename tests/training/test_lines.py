from __future__ import annotations

import multiprocessing
import pickle
from pathlib import Path

import lmdb
import pytest

from edgeocr_training.data.lines import LabelledLine, LineSource, open_lines
from edgeocr_training.errors import DataError, SampleError


def write_lmdb(folder: Path, records: dict[bytes, bytes]) -> str:
    with (
        lmdb.open(str(folder), map_size=1 << 20) as environment,
        environment.begin(write=True) as t,
    ):
        for key, value in records.items():
            t.put(key, value)
    return str(folder)


RECORDS = {
    b"num-samples": b"2",
    b"image-000000001": b"first image",
    b"label-000000001": b"first text",
    b"image-000000002": b"second image",
    b"label-000000002": "zweite Zeile, 第二行".encode(),
}


@pytest.fixture(params=["file", "lmdb"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> LineSource:
    """The same two lines in either layout."""
    if request.param == "lmdb":
        return open_lines(write_lmdb(tmp_path / "lines", RECORDS))
    (tmp_path / "images").mkdir()
    rows = []
    for number in (1, 2):
        image, label = RECORDS[b"image-%09d" % number], RECORDS[b"label-%09d" % number]
        (tmp_path / f"images/{number}.png").write_bytes(image)
        rows.append(f"images/{number}.png\t{label.decode()}\n")
    (tmp_path / "train.txt").write_text("".join(rows), "utf-8")
    return open_lines(str(tmp_path / "train.txt"))


def test_lines_are_read(source: LineSource) -> None:
    assert len(source) == 2
    lines = [source.line(i) for i in range(2)]
    assert [line.image for line in lines] == [b"first image", b"second image"]
    assert [line.text for line in lines] == ["first text", "zweite Zeile, 第二行"]
    assert [source.text(i) for i in range(2)] == [line.text for line in lines]
    assert lines[0].name != lines[1].name
    with pytest.raises(IndexError):
        source.line(2)


def test_sources_pickle(source: LineSource) -> None:
    """And may be opened twice."""
    first = source.line(0)
    assert pickle.loads(pickle.dumps(source)).line(0) == first


def _send_first(source: LineSource, queue: multiprocessing.Queue[LabelledLine]) -> None:
    queue.put(source.line(0))


# Python warns of a fork where other libraries have threads: that is what is tested here.
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_process_can_read(source: LineSource) -> None:
    """An environment of LMDB that was opened before must not be used after."""
    first = source.line(0)
    context = multiprocessing.get_context("fork")
    queue: multiprocessing.Queue[LabelledLine] = context.Queue()
    child = context.Process(target=_send_first, args=(source, queue))
    child.start()
    assert queue.get(timeout=20) == first
    child.join()
    assert source.line(0) == first


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("a.png", "row 2: expected image<TAB>label"),
        ("a.png\t", "row 2: the text is empty"),
        ("missing.png\ttext", r"row 2: can't read .*missing\.png: No such file"),
        ("empty.png\ttext", "row 2: the image is empty"),
    ],
)
def test_a_broken_row_is_named(tmp_path: Path, row: str, message: str) -> None:
    (tmp_path / "a.png").write_bytes(b"image")
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "train.txt").write_text(f"a.png\ttext\n{row}\na.png\ttext\n")
    source = open_lines(str(tmp_path / "train.txt"))
    assert len(source) == 3
    with pytest.raises(SampleError, match=message):
        source.line(1)
    assert source.line(2).text == "text"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({b"image-000000002": None}, "line 2: has no image"),
        ({b"label-000000002": None}, "line 2: has no label"),
        ({b"label-000000002": b"\xff\xfe"}, "line 2: the label is not UTF-8"),
        ({b"label-000000002": b"  "}, "line 2: the text is empty"),
        ({b"image-000000002": b""}, "line 2: the image is empty"),
    ],
)
def test_a_broken_record_is_named(
    tmp_path: Path, changes: dict[bytes, bytes | None], message: str
) -> None:
    records = {key: value for key, value in {**RECORDS, **changes}.items() if value is not None}
    source = open_lines(write_lmdb(tmp_path / "lines", records))
    assert source.line(0).text == "first text"
    with pytest.raises(SampleError, match=message):
        source.line(1)


@pytest.mark.parametrize("count", [None, b"0", b"many", b"-1"])
def test_an_environment_must_say_how_many_lines_it_holds(
    tmp_path: Path, count: bytes | None
) -> None:
    records = {} if count is None else {b"num-samples": count}
    path = write_lmdb(tmp_path / "lines", records)
    with pytest.raises(DataError, match="has no lines, or doesn't say so"):
        open_lines(path)


def test_what_is_no_source_is_named(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty.txt").write_text("")
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged/data.mdb").write_bytes(b"no database" * 1000)
    for name, message in (
        ("missing.txt", "No such file"),
        ("empty.txt", "holds no labels"),
        ("folder", "is no LMDB environment"),
        ("damaged", "can't be read as LMDB"),
    ):
        with pytest.raises(DataError, match=message):
            open_lines(str(tmp_path / name))
