"""Text is read from files, told apart by language, and drawn as it is frequent."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgeocr_training.data.synthetic import fields
from edgeocr_training.data.synthetic.corpora import Corpus, find_corpora, is_chinese
from edgeocr_training.data.synthetic.fonts import Language
from edgeocr_training.errors import DataError


@pytest.fixture(scope="module")
def corpora(corpus: Path) -> dict[Language, Corpus]:
    return find_corpora([str(corpus)], ("en", "zh"))


def test_lines_are_words_or_passages_of_the_language_of_their_script(
    corpora: dict[Language, Corpus],
) -> None:
    assert {"house", "quick", "does", "so"} <= set(corpora["en"].words)
    assert {"天气", "银行", "今天"} <= set(corpora["zh"].words)
    assert not any(map(is_chinese, corpora["en"].words))
    assert all(map(is_chinese, corpora["zh"].words))
    assert [len(corpora[language].passages) for language in ("en", "zh")] == [1, 1]


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("characters", [1, 10, 300])
def test_text_is_as_long_as_asked_and_of_one_line(
    corpora: dict[Language, Corpus], language: Language, characters: int
) -> None:
    for seed in range(20):
        text = corpora[language].text(np.random.default_rng(seed), characters)
        assert len(text) >= characters
        assert text == " ".join(text.split())


def test_english_passages_begin_with_whole_words(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text("alpha beta gamma delta epsilon\n")
    corpus = find_corpora([str(path)], ("en",))["en"]
    known = {"alpha", "beta", "gamma", "delta", "epsilon"}
    for seed in range(50):
        first, *_ = corpus._passage(np.random.default_rng(seed)).split()
        assert first in known


def test_frequent_words_are_drawn_more_often_by_the_root_of_their_count(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text("银行\n" * 9 + "天气\n", "utf-8")
    corpus = find_corpora([str(path)], ("zh",))["zh"]
    rng = np.random.default_rng(0)
    drawn = [corpus.word(rng) for _ in range(4000)]
    # Three to one; six standard deviations of a binomial of 4000 are 164.
    assert abs(drawn.count("银行") - 3000) < 164


def test_files_are_refused_with_their_name(tmp_path: Path) -> None:
    path = tmp_path / "latin1.txt"
    path.write_bytes("café".encode("latin-1"))
    with pytest.raises(DataError, match=r"latin1\.txt is not UTF-8"):
        find_corpora([str(path)], ("en",))
    with pytest.raises(DataError, match=r"nowhere\.txt"):
        find_corpora([str(tmp_path / "nowhere.txt")], ("en",))


@pytest.mark.parametrize(("language", "advice"), [("en", "wamerican"), ("zh", "jieba")])
def test_without_text_the_error_names_packages(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, language: Language, advice: str
) -> None:
    module = "edgeocr_training.data.synthetic.corpora"
    for name in ("_ENGLISH_LISTS", "_CHINESE_LISTS", "_CHINESE_PACKAGES"):
        monkeypatch.setattr(f"{module}.{name}", ())
    with pytest.raises(DataError, match=advice):
        find_corpora([], (language,))
    (tmp_path / "empty.txt").write_text("\n \n")
    with pytest.raises(DataError, match=rf"empty\.txt.*{advice}"):
        find_corpora([str(tmp_path / "empty.txt")], (language,))


def test_installed_lists_of_words_with_frequencies_are_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As jieba, rime-essay and wamerican have them."""
    (tmp_path / "zh.txt").write_text("银行 100 n\n天气\t4\n这本书非常好看，我很喜欢。\n", "utf-8")
    (tmp_path / "en.txt").write_text("window\nwindow's\n")
    module = "edgeocr_training.data.synthetic.corpora"
    monkeypatch.setattr(f"{module}._CHINESE_LISTS", (str(tmp_path / "zh.txt"),))
    monkeypatch.setattr(f"{module}._CHINESE_PACKAGES", (("no_such_package", "dict.txt"),))
    monkeypatch.setattr(f"{module}._ENGLISH_LISTS", (str(tmp_path / "en.txt"),))
    corpora = find_corpora([], ("en", "zh"))
    assert corpora["zh"].words == ("银行", "天气")
    np.testing.assert_allclose(corpora["zh"].cumulative, [10 / 12, 1])
    assert corpora["zh"].passages == ("这本书非常好看，我很喜欢。",)
    assert corpora["en"].words == ("window",)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_fields_are_single_lines_of_the_language(
    corpora: dict[Language, Corpus], language: Language
) -> None:
    rng = np.random.default_rng(0)
    values = [fields.value(rng, corpora[language]) for _ in range(500)]
    values += [fields.label(rng, language) for _ in range(100)]
    for text in values:
        assert text
        assert text == " ".join(text.split())
    assert any(map(is_chinese, values)) == (language == "zh")
