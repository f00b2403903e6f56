"""Recipes of recognisers of text lines.

The recipes ``rec_en...`` read English words, with the 95 printable characters of ASCII. They learn
words of ICDAR 2015 and IIIT5K and rendered ones, at 32x160 pixels: few words are longer, and it
takes half of the time. ``rec_en`` begins with PP-OCRv2's weights; all others begin at random, and
are the rows of the ablations: they differ from ``rec_en_scratch`` in what they say and in nothing
else.

The recipes ``rec_ch...`` read Chinese and English lines, with the 6,624 characters of PP-OCR.
``rec_ch_pp_ocrv2`` is PaddleOCR's way (``ch_PP-OCRv2_rec_distillation.yml`` together with
``..._enhanced_ctc_loss.yml``; the released model had both): 800 epochs of Adam in batches of 8
times 128, 0.001 and a tenth of it from epoch 700 on, a warm-up of five epochs, an L2 of 2e-5 on
all but norms. The others differ from it in this:

* The rate falls by a cosine: their epochs are few, and it has no place that must be guessed.
* TIA and RecAug are PP-OCR's; lines are joined as well (RecConAug), as PP-OCRv3 began to do.
* ``rec_ch`` begins with the official weights and learns lines that those lack, at a tenth of the
  rate, so that Chinese is not forgotten: half of what is rendered is Chinese.
* ``rec_ch_edge``, ``rec_ch_conv`` and ``rec_ch_narrow`` have ``rec_ch`` as their teacher.
  ``rec_ch_conv`` keeps its backbone and head, and learns convolutions over time in place of its
  LSTM; ``rec_ch_narrow`` does so too, with half of the columns.

What they look for below ``data_root``: ``icdar2015_words`` and ``iiit5k_words``; ``cut_lines`` with
the lines that ``python -m edgeocr_training.data.cut_lines`` cuts out of pages; ``chinese_lines``,
rendered in fonts that training does not have; and in ``models`` the official recogniser and
its characters.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from edgeocr_training.data.charset import CHARSETS
from edgeocr_training.data.line_dataset import LinesConfig
from edgeocr_training.data.synthetic.lines import SyntheticLinesConfig
from edgeocr_training.evaluation.recognition import RecognitionEvaluatorConfig
from edgeocr_training.losses.center import CenterLossConfig
from edgeocr_training.losses.ctc import CtcLoss
from edgeocr_training.losses.recognition_loss import RecognitionLossConfig
from edgeocr_training.models.bilstm_neck import BiLstmConfig
from edgeocr_training.models.ctc_head import CtcHeadConfig
from edgeocr_training.models.edge_line_neck import EdgeLineNeckConfig
from edgeocr_training.models.edge_recogniser import edge_recogniser
from edgeocr_training.models.line_mobilenet_v3 import LineMobileNetV3Config
from edgeocr_training.models.mobilenet_v1_enhance import MobileNetV1EnhanceConfig
from edgeocr_training.models.normalisation import BYTE_HALF
from edgeocr_training.models.recogniser import RecogniserConfig
from edgeocr_training.models.recogniser_weights import RecogniserWeights
from edgeocr_training.recipe import OptimizerConfig, Recipe, ScheduleConfig
from edgeocr_training.recipes import RecipeFunction
from edgeocr_training.tasks.distill_recognition import (
    DistillRecognitionConfig,
    RecogniserTeacherConfig,
)
from edgeocr_training.tasks.supervised_recognition import SupervisedRecognitionConfig
from edgeocr_training.tasks.u_dml_recognition import UDmlRecognitionConfig

_ENGLISH_HEAD: Final = CtcHeadConfig(classes=len(CHARSETS["english"]) + 1)
_ENGLISH: Final = RecogniserConfig(head=_ENGLISH_HEAD)
_WIDE: Final = MobileNetV1EnhanceConfig(wide_channels=1280)
"""PP-LCNet with all of its four points; PP-OCRv2's recogniser has no layer of 1280."""

_WORDS: Final = ("icdar2015_words", "iiit5k_words")
_CUT_PAGES: Final = ("icdar2015_train", "funsd_train", "sroie_train")


def rec_en(*, data_root: str = "data") -> Recipe:
    """English words, from PP-OCRv2's backbone and neck; its head has other characters."""
    return replace(
        rec_en_scratch(data_root=data_root),
        name="rec_en",
        description="English words: PP-OCRv2's recogniser, from the official weights",
        task=SupervisedRecognitionConfig(
            recogniser=_ENGLISH,
            initial_weights=RecogniserWeights(
                official=_official(data_root), parts=("backbone", "neck")
            ),
        ),
    )


def rec_en_scratch(*, data_root: str = "data") -> Recipe:
    """The same from random weights; what the rows of the ablations compare with.

    Args:
        data_root: folder with ``icdar2015_words`` and ``iiit5k_words``.
    """
    return Recipe(
        name="rec_en_scratch",
        description="English words: PP-OCRv2's recogniser, from random weights",
        task=SupervisedRecognitionConfig(recogniser=_ENGLISH),
        data=LinesConfig(
            sources=tuple(f"{data_root}/{name}/train.txt" for name in _WORDS),
            repeats=(2, 3),
            synthetic=SyntheticLinesConfig(count=16_000, languages=("en",), longest_aspect=5.0),
            charset="english",
            width=160,
            tia=True,
            rec_aug=True,
            rec_con_aug=True,
        ),
        evaluation=RecognitionEvaluatorConfig(
            labels=tuple(f"lines={data_root}/{name}/dev.txt" for name in _WORDS),
            charset="english",
            metric="alphanumeric_accuracy",
        ),
        epochs=12,
        batch_size=64,
        optimizer=_adam(1e-3),
        schedule=ScheduleConfig(kind="cosine", warm_up_epochs=0.5),
        workers=2,
    )


def rec_en_mv3(*, data_root: str = "data") -> Recipe:
    """PP-OCR's recogniser: MobileNetV3, 48 units of LSTM, one linear layer."""
    recogniser = RecogniserConfig(
        backbone=LineMobileNetV3Config(),
        neck=BiLstmConfig(hidden=48),
        head=replace(_ENGLISH_HEAD, mid_channels=None),
    )
    return _row("rec_en_mv3", "PP-OCR's recogniser", recogniser, data_root)


def rec_en_edge_neck(*, data_root: str = "data") -> Recipe:
    """Convolutions over time in place of the LSTM."""
    recogniser = replace(_ENGLISH, neck=EdgeLineNeckConfig())
    return _row("rec_en_edge_neck", "edge neck", recogniser, data_root)


def rec_en_edge(*, data_root: str = "data") -> Recipe:
    """The recogniser that the product carries, with English characters and without a teacher."""
    recogniser = edge_recogniser(classes=_ENGLISH_HEAD.classes)
    return _row("rec_en_edge", "edge backbone and neck", recogniser, data_root)


def rec_en_wide(*, data_root: str = "data") -> Recipe:
    """PP-LCNet's four points together: with its layer of 1280."""
    return _row("rec_en_wide", "PP-LCNet", replace(_ENGLISH, backbone=_WIDE), data_root)


def rec_en_wide_relu(*, data_root: str = "data") -> Recipe:
    """Without h-swish."""
    backbone = replace(_WIDE, hard_swish=False)
    recogniser = replace(_ENGLISH, backbone=backbone)
    return _row("rec_en_wide_relu", "PP-LCNet with ReLU", recogniser, data_root)


def rec_en_wide_no_se(*, data_root: str = "data") -> Recipe:
    """Without squeeze-and-excitation."""
    recogniser = replace(_ENGLISH, backbone=replace(_WIDE, gated_blocks=0))
    return _row("rec_en_wide_no_se", "PP-LCNet without SE", recogniser, data_root)


def rec_en_wide_3x3(*, data_root: str = "data") -> Recipe:
    """Without 5x5 kernels."""
    recogniser = replace(_ENGLISH, backbone=replace(_WIDE, large_kernels=0))
    return _row("rec_en_wide_3x3", "PP-LCNet with 3x3 kernels", recogniser, data_root)


def rec_en_no_tia(*, data_root: str = "data") -> Recipe:
    """Without text image augmentation."""
    base = rec_en_scratch(data_root=data_root)
    assert isinstance(base.data, LinesConfig)
    return replace(
        base,
        name="rec_en_no_tia",
        description="ablation: without TIA",
        data=replace(base.data, tia=False),
    )


def rec_en_focal(*, data_root: str = "data") -> Recipe:
    """CTC that counts hard lines more."""
    loss = RecognitionLossConfig(ctc=CtcLoss(focal=True))
    return replace(
        rec_en_scratch(data_root=data_root),
        name="rec_en_focal",
        description="ablation: focal CTC",
        task=SupervisedRecognitionConfig(recogniser=_ENGLISH, loss=loss),
    )


def rec_en_u_dml(*, data_root: str = "data") -> Recipe:
    """Two recognisers learn from one another."""
    return replace(
        rec_en_scratch(data_root=data_root),
        name="rec_en_u_dml",
        description="ablation: U-DML",
        task=UDmlRecognitionConfig(recogniser=_ENGLISH),
    )


def rec_en_enhanced_ctc(*, data_root: str = "data") -> Recipe:
    """U-DML with the center loss: all of PP-OCRv2's strategies.

    ``edgeocr-train centers rec_en_u_dml`` makes the centers; ``edgeocr-train ablation`` does.
    """
    return replace(
        rec_en_scratch(data_root=data_root),
        name="rec_en_enhanced_ctc",
        description="ablation: U-DML and Enhanced CTC",
        task=UDmlRecognitionConfig(recogniser=_ENGLISH, loss=_enhanced("rec_en_u_dml")),
    )


def rec_ch(*, data_root: str = "data") -> Recipe:
    """The official recogniser of PP-OCRv2 learns more lines, without losing Chinese.

    Args:
        data_root: see the module.
    """
    charset = _charset(data_root)
    return Recipe(
        name="rec_ch",
        description="Chinese and English lines: PP-OCRv2's recogniser, fine-tuned",
        task=SupervisedRecognitionConfig(
            initial_weights=RecogniserWeights(official=_official(data_root))
        ),
        data=LinesConfig(
            sources=(
                *(f"{data_root}/{name}/train.txt" for name in _WORDS),
                *(f"{data_root}/cut_lines/{name}/lines.txt" for name in _CUT_PAGES),
            ),
            synthetic=SyntheticLinesConfig(count=20_000, languages=("en", "zh")),
            charset=charset,
            max_length=40,
            tia=True,
            rec_aug=True,
            rec_con_aug=True,
        ),
        evaluation=RecognitionEvaluatorConfig(
            labels=(
                *(f"lines={data_root}/{name}/dev.txt" for name in _WORDS),
                f"lines={data_root}/chinese_lines/lines.txt",
            ),
            charset=charset,
        ),
        epochs=6,
        batch_size=32,
        optimizer=_adam(1e-4),
        schedule=ScheduleConfig(kind="cosine", warm_up_epochs=0.2),
        ema_decay=0.999,
        workers=2,
    )


def rec_ch_edge(*, data_root: str = "data") -> Recipe:
    """The recogniser that the product carries, taught by ``rec_ch``.

    It has its teacher's classes, and learns at each step the features that the teacher has there:
    that takes no image of each of some thousand characters. The layer before them is its own. The
    teacher's suits what an LSTM gives, between -1 and 1; a neck that has to please it ends with
    numbers that 8 bits are too few for.
    """
    own = "runs/rec_ch/best.pt"
    return replace(
        rec_ch(data_root=data_root),
        name="rec_ch_edge",
        description="Chinese and English lines: the edge recogniser, taught by rec_ch",
        task=DistillRecognitionConfig(
            recogniser=edge_recogniser(),
            initial_weights=RecogniserWeights(own=own, parts=("head.classes",)),
            teacher=RecogniserTeacherConfig(weights=RecogniserWeights(own=own)),
            distillation_weight=0.0,
            feature_weight=0.02,
        ),
        epochs=20,
        batch_size=64,
        optimizer=_adam(2e-3),
        schedule=ScheduleConfig(kind="cosine", warm_up_epochs=0.5),
    )


def rec_ch_conv(*, data_root: str = "data") -> Recipe:
    """``rec_ch`` for integers: all but its LSTM, which XNNPACK computes in floats.

    Three blocks of nine steps see 100 pixels of a line, three or four letters to each side.
    """
    own = "runs/rec_ch/best.pt"
    return replace(
        rec_ch(data_root=data_root),
        name="rec_ch_conv",
        description="Chinese and English lines: rec_ch without an LSTM, taught by rec_ch",
        task=DistillRecognitionConfig(
            recogniser=RecogniserConfig(neck=EdgeLineNeckConfig(kernels=(9, 9, 9), expansion=2)),
            initial_weights=RecogniserWeights(own=own, parts=("backbone", "head")),
            teacher=RecogniserTeacherConfig(weights=RecogniserWeights(own=own)),
        ),
        optimizer=_adam(1e-3),
    )


def rec_ch_self(*, data_root: str = "data") -> Recipe:
    """``rec_ch`` taught by itself: what ``rec_ch_self_pact`` is in floats.

    In integers it learns to say what it says in floats, at every step. From labels alone it learns
    less: they are few, and it has read them all. Lines are short, because they cost less.
    """
    own = "runs/rec_ch/best.pt"
    base = rec_ch(data_root=data_root)
    assert isinstance(base.data, LinesConfig)
    return replace(
        base,
        name="rec_ch_self",
        description="Chinese and English lines: rec_ch, taught by itself",
        task=DistillRecognitionConfig(
            initial_weights=RecogniserWeights(own=own),
            teacher=RecogniserTeacherConfig(weights=RecogniserWeights(own=own)),
            feature_weight=0.005,
        ),
        data=replace(
            base.data,
            synthetic=SyntheticLinesConfig(
                count=20_000, languages=("en", "zh"), longest_aspect=5.0
            ),
            width=128,
            max_length=25,
        ),
        optimizer=_adam(2e-3),
        ema_decay=0.99,
    )


def rec_ch_narrow(*, data_root: str = "data") -> Recipe:
    """``rec_ch`` with half of the columns and without an LSTM, to be pruned and trained further.

    Columns are halved early, where the weights of ``rec_ch`` still read most words: what is cut
    out of it starts far ahead of random weights. Pruned it is as cheap as ``rec_ch_edge``, and is
    a backbone of plain depthwise-separable convolutions. Lines are neither bent nor joined, since
    a small network has enough to learn, and 192 columns show convolutions over time all that they
    can see.
    """
    own = "runs/rec_ch/best.pt"
    base = rec_ch(data_root=data_root)
    assert isinstance(base.data, LinesConfig)
    return replace(
        base,
        name="rec_ch_narrow",
        description="Chinese and English lines: rec_ch with fewer columns, taught by rec_ch",
        task=DistillRecognitionConfig(
            recogniser=RecogniserConfig(
                backbone=MobileNetV1EnhanceConfig(early_columns=True),
                neck=EdgeLineNeckConfig(kernels=(9, 9, 9)),
                mean=BYTE_HALF,
                std=BYTE_HALF,
            ),
            initial_weights=RecogniserWeights(own=own, parts=("backbone", "head.classes")),
            teacher=RecogniserTeacherConfig(weights=RecogniserWeights(own=own)),
            distillation_weight=0.0,
            feature_weight=0.02,
        ),
        data=replace(
            base.data,
            synthetic=SyntheticLinesConfig(
                count=20_000, languages=("en", "zh"), longest_aspect=9.0
            ),
            width=192,
            tia=False,
            rec_con_aug=False,
        ),
        epochs=20,
        optimizer=_adam(1e-3),
        ema_decay=0.99,
    )


def rec_ch_pp_ocrv2(*, data_root: str = "data") -> Recipe:
    """As PaddleOCR trains it, from random weights: U-DML, Enhanced CTC, TIA, 800 epochs.

    The centers are those of a run of ``rec_ch``.
    """
    base = rec_ch(data_root=data_root)
    assert isinstance(base.data, LinesConfig)
    return replace(
        base,
        name="rec_ch_pp_ocrv2",
        description="Chinese and English lines: PP-OCRv2's recogniser as PaddleOCR trains it",
        task=UDmlRecognitionConfig(loss=_enhanced("rec_ch")),
        data=replace(base.data, max_length=25, rec_con_aug=False),
        epochs=800,
        batch_size=128,
        optimizer=_adam(1e-3),
        schedule=ScheduleConfig(kind="piecewise", warm_up_epochs=5, boundaries=(700,)),
        ema_decay=None,
    )


def _row(name: str, what: str, recogniser: RecogniserConfig, data_root: str) -> Recipe:
    """``rec_en_scratch`` with another network."""
    return replace(
        rec_en_scratch(data_root=data_root),
        name=name,
        description=f"ablation: {what}",
        task=SupervisedRecognitionConfig(recogniser=recogniser),
    )


def _adam(learning_rate: float) -> OptimizerConfig:
    return OptimizerConfig(
        learning_rate=learning_rate,
        l2=2e-5,
        l2_on_norms_and_biases=False,
        # PaddleOCR clips nothing; in a short run with a high rate one bad batch costs much.
        clip_norm=10.0,
    )


def _enhanced(recipe: str) -> RecognitionLossConfig:
    """With the centers of another recipe's run."""
    return RecognitionLossConfig(center=CenterLossConfig(centers=f"runs/{recipe}/centers.npz"))


def _official(data_root: str) -> str:
    return f"{data_root}/models/ch_PP-OCRv2_rec_infer.onnx"


def _charset(data_root: str) -> str:
    return f"{data_root}/models/ppocr_keys_v1.txt"


RECIPES: Final[dict[str, RecipeFunction]] = {
    "rec_en": rec_en,
    "rec_en_scratch": rec_en_scratch,
    "rec_en_mv3": rec_en_mv3,
    "rec_en_edge_neck": rec_en_edge_neck,
    "rec_en_edge": rec_en_edge,
    "rec_en_wide": rec_en_wide,
    "rec_en_wide_relu": rec_en_wide_relu,
    "rec_en_wide_no_se": rec_en_wide_no_se,
    "rec_en_wide_3x3": rec_en_wide_3x3,
    "rec_en_no_tia": rec_en_no_tia,
    "rec_en_focal": rec_en_focal,
    "rec_en_u_dml": rec_en_u_dml,
    "rec_en_enhanced_ctc": rec_en_enhanced_ctc,
    "rec_ch": rec_ch,
    "rec_ch_edge": rec_ch_edge,
    "rec_ch_conv": rec_ch_conv,
    "rec_ch_self": rec_ch_self,
    "rec_ch_narrow": rec_ch_narrow,
    "rec_ch_pp_ocrv2": rec_ch_pp_ocrv2,
}
