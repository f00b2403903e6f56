"""The tables of ablations: what each row is, and what the papers report of it.

PP-OCR is arXiv:2009.09941, PP-OCRv2 arXiv:2109.03144, PP-LCNet arXiv:2109.15099.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

MEGABYTES: Final = "megabytes"
"""Of a student's parameters as float32."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A figure, ours and the paper's."""

    figure: str
    """As the evaluation calls it, or :data:`MEGABYTES`; what neither has is the papers' alone."""
    heading: str
    share: bool = True
    """Whether it is in [0, 1] and printed in percent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AblationRow:
    """A recipe and what a paper reports of it."""

    recipe: str
    change: str
    """What the recipe does that ``against`` does not."""
    paper: Mapping[str, float]
    """By figure; empty for what no paper has."""
    against: str | None = None
    """Recipe of the row that it is compared with."""
    centers_of: str | None = None
    """Recipe of the row whose trained student gives the centers of its center loss."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AblationTable:
    """Recipes that differ by one strategy each."""

    title: str
    columns: tuple[Column, ...]
    metric: str
    """Figure whose changes are compared with the paper's."""
    rows: tuple[AblationRow, ...]
    remarks: tuple[str, ...]
    """What differs from the paper, beside the budget."""


_DETECTION: Final = (
    Column(figure="precision", heading="P"),
    Column(figure="recall", heading="R"),
    Column(figure="hmean", heading="H"),
)
_RECOGNITION: Final = (
    Column(figure="accuracy", heading="accuracy"),
    Column(figure=MEGABYTES, heading="MB", share=False),
    Column(figure="cpu_ms", heading="CPU ms", share=False),
)
_READ_WORDS: Final = (
    Column(figure="accuracy", heading="accuracy"),
    Column(figure="alphanumeric_accuracy", heading="letters and digits"),
    *_RECOGNITION[1:],
)
_CLASSIFICATION: Final = _RECOGNITION

_DETECTORS_START: Final = (
    "Start: the backbone is that of PP-OCRv3's detector, theirs ImageNet's. It was trained "
    "without SE, so the gates of the rows with SE start at random."
)
_DETECTION_REMARKS: Final = (
    "The papers' crops have 960 pixels; ours 640, or what the settings say.",
    "Data: 900 pages of ICDAR 2015 with words, measured on 100 others; theirs are 4,000 (PP-OCR) "
    "or 97,000 pages with lines, and 500 others.",
    _DETECTORS_START,
    "Teacher of CML: PP-OCRv3's detector after it learnt the same pages; theirs is larger "
    "(ResNet18, 256 channels) and saw more pages than its students.",
)
_RECOGNITION_REMARKS: Final = (
    "Data: English words of ICDAR 2015 and IIIT5K and rendered lines, measured on other words of "
    "both; theirs are 17.9 million lines, most of them Chinese, and lines of an own collection.",
    "Start: random, as theirs, for what the settings name no weights for. Theirs are trained for "
    "500 (PP-OCR) or 800 epochs.",
    "MB are of the parameters, with 96 characters; the paper's are of a file, with 6,625.",
)
_CLASSIFICATION_REMARKS: Final = (
    "Data: English words and rendered lines, upright and turned; theirs are 600,000 lines, most "
    "of them Chinese.",
    "MB are of the parameters; the paper's are of a file.",
)


def _detection(recipe: str, change: str, against: str | None, *paper: float) -> AblationRow:
    figures = dict(zip(("precision", "recall", "hmean"), paper, strict=True)) if paper else {}
    return AblationRow(recipe=recipe, change=change, against=against, paper=figures)


def _accuracy(
    recipe: str,
    change: str,
    against: str | None,
    accuracy: float | None = None,
    megabytes: float | None = None,
    cpu_ms: float | None = None,
    *,
    centers_of: str | None = None,
) -> AblationRow:
    figures = {"accuracy": accuracy, MEGABYTES: megabytes, "cpu_ms": cpu_ms}
    return AblationRow(
        recipe=recipe,
        change=change,
        against=against,
        paper={name: value for name, value in figures.items() if value is not None},
        centers_of=centers_of,
    )


def _bda(method: str, accuracy: float) -> AblationRow:
    recipe = f"cls_small_{method.lower()}"
    return _accuracy(recipe, f"BDA + {method}", "cls_small_bda", accuracy)


TABLES: Final[Mapping[str, AblationTable]] = {
    "pp-ocr-det": AblationTable(
        title="PP-OCR's detector",
        columns=_DETECTION,
        metric="hmean",
        rows=(
            _detection(
                *("det_ic15_inner256", "256 channels, SE, constant rate", None),
                *(0.6821, 0.5560, 0.6127),
            ),
            _detection(
                *("det_ic15_se", "96 channels", "det_ic15_inner256"), *(0.6677, 0.5524, 0.6046)
            ),
            _detection(
                *("det_ic15_constant", "without SE", "det_ic15_se"), *(0.6952, 0.5413, 0.6087)
            ),
            _detection(
                *("det_ic15_cosine", "cosine", "det_ic15_constant"), *(0.7034, 0.5404, 0.6112)
            ),
            _detection(
                *("det_ic15_baseline", "warm-up", "det_ic15_cosine"), *(0.7349, 0.5420, 0.6239)
            ),
        ),
        remarks=_DETECTION_REMARKS,
    ),
    "pp-ocrv2-det": AblationTable(
        title="PP-OCRv2's detector",
        columns=_DETECTION,
        metric="hmean",
        rows=(
            _detection("det_ic15_baseline", "PP-OCR's detector", None, 0.718, 0.805, 0.759),
            _detection("det_ic15_dml", "DML", "det_ic15_baseline", 0.743, 0.815, 0.777),
            _detection("det_ic15_cml", "CML instead", "det_ic15_dml", 0.746, 0.835, 0.789),
            _detection("det_ic15_cml_copy_paste", "CopyPaste", "det_ic15_cml", 0.754, 0.840, 0.795),
        ),
        remarks=_DETECTION_REMARKS,
    ),
    "det-distillation": AblationTable(
        title="Who teaches a detector",
        columns=_DETECTION,
        metric="hmean",
        rows=(
            _detection("det_ic15_baseline", "labels alone", None),
            _detection("det_ic15_dml", "another student (DML)", "det_ic15_baseline"),
            _detection("det_ic15_distill", "a teacher", "det_ic15_baseline"),
            _detection("det_ic15_cml", "both (CML)", "det_ic15_baseline"),
        ),
        remarks=_DETECTION_REMARKS,
    ),
    "db-loss": AblationTable(
        title="The two readings of DB's loss",
        columns=_DETECTION,
        metric="hmean",
        rows=(
            _detection("det_ic15_baseline", "PaddleOCR's code: Dice, 5 : 1 : 10", None),
            _detection(
                "det_ic15_paper_loss",
                "DB's paper: cross-entropy with hard negatives, 1 : 1 : 10",
                "det_ic15_baseline",
            ),
        ),
        remarks=_DETECTION_REMARKS[:-1],
    ),
    "det-backbone": AblationTable(
        title="Backbones of the detector",
        columns=(*_DETECTION, Column(figure=MEGABYTES, heading="MB", share=False)),
        metric="hmean",
        rows=(
            _detection("det_ic15_scratch", "MobileNetV3-large x0.5", None),
            _detection("det_ic15_large", "MobileNetV3-large x1", "det_ic15_scratch"),
            _detection("det_ic15_small", "MobileNetV3-small x1", "det_ic15_scratch"),
            _detection("det_ic15_pp_lcnet", "PP-LCNet x1", "det_ic15_scratch"),
            _detection("det_ic15_server", "ResNet18, 256 channels", "det_ic15_scratch"),
        ),
        remarks=(
            *(remark for remark in _DETECTION_REMARKS[:-1] if remark != _DETECTORS_START),
            "Start: random, all alike. The paper's begin with ImageNet's weights.",
            "Necks have 96 channels but for ResNet18's; the paper compares backbones with 256.",
        ),
    ),
    "pp-ocrv2-rec": AblationTable(
        title="PP-OCRv2's recogniser",
        columns=_READ_WORDS,
        metric="accuracy",
        rows=(
            _accuracy("rec_en_mv3", "PP-OCR's recogniser (MobileNetV3)", None, 0.667, 5.0, 7.7),
            _accuracy("rec_en_scratch", "PP-LCNet", "rec_en_mv3", 0.693, 8.0, 6.2),
            _accuracy("rec_en_u_dml", "U-DML", "rec_en_scratch", 0.739, 8.6, 6.2),
            _accuracy(
                *("rec_en_enhanced_ctc", "Enhanced CTC", "rec_en_u_dml", 0.748, 8.6, 6.2),
                centers_of="rec_en_u_dml",
            ),
        ),
        remarks=(
            *_RECOGNITION_REMARKS,
            "The paper says not whose features its centers are of: here they are those of the row "
            "before, with the same seed.",
        ),
    ),
    "focal-ctc": AblationTable(
        title="Focal CTC",
        columns=_READ_WORDS,
        metric="accuracy",
        rows=(
            _accuracy("rec_en_scratch", "CTC", None),
            _accuracy("rec_en_focal", "focal CTC", "rec_en_scratch"),
        ),
        remarks=(
            *_RECOGNITION_REMARKS,
            "PaddleOCR reports a gain of 0.3 points, on its own data and without the figures.",
        ),
    ),
    "tia": AblationTable(
        title="TIA",
        columns=_READ_WORDS,
        metric="accuracy",
        rows=(
            _accuracy("rec_en_no_tia", "without TIA", None, 0.6581, 4.6),
            _accuracy("rec_en_scratch", "TIA", "rec_en_no_tia", 0.6670, 4.6),
        ),
        remarks=(
            *_RECOGNITION_REMARKS,
            "The paper's rows are of PP-OCR's recogniser (MobileNetV3), ours of PP-OCRv2's.",
        ),
    ),
    "rec-neck": AblationTable(
        title="Necks and backbones of recognisers",
        columns=_READ_WORDS,
        metric="accuracy",
        rows=(
            _accuracy("rec_en_scratch", "PP-LCNet, BiLSTM", None),
            _accuracy("rec_en_edge_neck", "PP-LCNet, edge neck", "rec_en_scratch"),
            _accuracy("rec_en_edge", "edge backbone and neck", "rec_en_edge_neck"),
        ),
        remarks=(*_RECOGNITION_REMARKS, "No paper has these rows."),
    ),
    "pp-lcnet": AblationTable(
        title="The four points of PP-LCNet, each left out",
        columns=_READ_WORDS,
        metric="accuracy",
        rows=(
            _accuracy("rec_en_wide", "PP-LCNet", None, 0.6314, None, 2.05),
            _accuracy("rec_en_wide_relu", "ReLU, no h-swish", "rec_en_wide", 0.6193, None, 1.94),
            _accuracy("rec_en_wide_no_se", "no SE", "rec_en_wide", 0.6251, None, 1.87),
            _accuracy("rec_en_wide_3x3", "3x3 kernels alone", "rec_en_wide", 0.6244, None, 2.01),
            _accuracy("rec_en_scratch", "no layer of 1280", "rec_en_wide", 0.5991, None, 1.85),
        ),
        remarks=(
            *_RECOGNITION_REMARKS[:2],
            "The paper's rows are of PP-LCNet x0.5 on ImageNet, ours of the recogniser with x1.0.",
            "PP-OCRv2's recogniser has no layer of 1280: it is the last row.",
        ),
    ),
    "cls-augmentation": AblationTable(
        title="Augmentation of the direction classifier, 32x100 pixels",
        columns=_CLASSIFICATION[:1],
        metric="accuracy",
        rows=(
            _accuracy("cls_small_none", "none", None, 0.8879),
            _accuracy("cls_small_bda", "BDA", "cls_small_none", 0.9134),
            _bda("RandAugment", 0.9212),
            _bda("RandErasing", 0.9193),
            _bda("AutoAugment", 0.9133),
            _bda("GridMask", 0.9140),
            _bda("Mixup", 0.9104),
            _bda("Cutmix", 0.9083),
            _bda("CutOut", 0.9081),
            _bda("HideAndSeek", 0.8598),
        ),
        remarks=_CLASSIFICATION_REMARKS[:1],
    ),
    "cls-backbone": AblationTable(
        title="Backbones of the direction classifier",
        columns=_CLASSIFICATION,
        metric="accuracy",
        rows=(
            _accuracy("cls_mv3_x05", "MobileNetV3-small x0.5", None, 0.9494, 1.34, 3.22),
            _accuracy("cls", "MobileNetV3-small x0.35", "cls_mv3_x05", 0.9403, 0.85, 3.21),
            _accuracy("cls_shufflenet", "ShuffleNetV2 x0.5", "cls_mv3_x05", 0.9017, 1.72, 3.41),
            _accuracy("cls_pp_lcnet", "PP-LCNet x0.25", "cls_mv3_x05"),
        ),
        remarks=(*_CLASSIFICATION_REMARKS, "The paper has no PP-LCNet here."),
    ),
    "cls-input": AblationTable(
        title="Input of the direction classifier",
        columns=_CLASSIFICATION,
        metric="accuracy",
        rows=(
            _accuracy("cls_small_randaugment", "32x100", None, 0.9212, 0.85, 3.19),
            _accuracy("cls", "48x192", "cls_small_randaugment", 0.9403, 0.85, 3.21),
        ),
        remarks=_CLASSIFICATION_REMARKS,
    ),
}
"""By the name that ``edgeocr-train ablation`` takes. A recipe may be in several tables; in one
folder it is run once."""


def table_recipes(table: AblationTable) -> tuple[str, ...]:
    """The recipes of a table, each once, in its order."""
    return tuple(dict.fromkeys(row.recipe for row in table.rows))
