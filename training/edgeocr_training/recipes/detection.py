"""Recipes of text detectors.

The recipes ``det_ic15...`` find words, on ICDAR 2015. They follow PaddleOCR's of PP-OCRv2
(``ch_PP-OCRv2_det_student.yml``, ``..._dml``, ``..._distill`` and ``..._cml``): 1200 epochs of
Adam in batches of 8, a cosine from 0.001 after a warm-up of two epochs, no regularisation. They
differ from them in this:

* Crops have 640 pixels and not 960, as in PaddleOCR's own recipe for ICDAR 2015.
* Networks begin with weights of PP-OCRv3's detector, whose backbone is that of PP-OCRv2's student,
  and not with ImageNet's.
* The teacher finds words too: it is PP-OCRv3's detector after it learnt ICDAR 2015
  (``det_ic15_teacher``). PaddleOCR's has a ResNet18, for which ``det_ic15_server`` is here.

The recipes ``det_lines...`` find lines, as the product reads them. Their pages are those of ICDAR
2015, FUNSD, SROIE and a folder of samples, and rendered ones. What is a line there is what
PP-OCRv6's small detector says: its boxes are the labels, in the folder ``lines`` of the data where
``edgeocr-train label`` writes them, and its maps teach.

Weights that another recipe made are looked for where ``edgeocr-train run`` puts them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from edgeocr_training.data.pages import PagesConfig
from edgeocr_training.data.synthetic.pages import SyntheticPagesConfig
from edgeocr_training.data.teacher_maps import TeacherMapsConfig
from edgeocr_training.evaluation.detection import DetectionEvaluatorConfig
from edgeocr_training.importers.pp_ocrv3_det import Part
from edgeocr_training.losses.db_loss import DbLoss
from edgeocr_training.models.dbfpn import DbFpnConfig
from edgeocr_training.models.detector import DetectorConfig
from edgeocr_training.models.edge_detector import edge_detector
from edgeocr_training.models.edge_head import EdgeHeadConfig
from edgeocr_training.models.edge_neck import EdgeNeckConfig
from edgeocr_training.models.initial_weights import InitialWeights
from edgeocr_training.models.interfaces import BackboneConfig
from edgeocr_training.models.mobilenet_v3 import MobileNetV3Config
from edgeocr_training.models.pp_lcnet import PpLcNetConfig
from edgeocr_training.models.resnet_vd import ResNetVdConfig
from edgeocr_training.models.rsefpn import RseFpnConfig
from edgeocr_training.recipe import OptimizerConfig, Recipe, ScheduleConfig
from edgeocr_training.recipes import RecipeFunction
from edgeocr_training.tasks.cml_detection import CmlDetectionConfig
from edgeocr_training.tasks.distill_detection import DistillDetectionConfig
from edgeocr_training.tasks.dml_detection import DmlDetectionConfig
from edgeocr_training.tasks.supervised_detection import SupervisedDetectionConfig
from edgeocr_training.tasks.teacher import TeacherConfig

_PP_OCRV3: Final = DetectorConfig(neck=RseFpnConfig())
_CONSTANT: Final = ScheduleConfig(kind="constant")

_LINES_TRAIN: Final = {"icdar2015_train": 1, "funsd_train": 3, "sroie_train": 2, "samples": 5}
"""How often an epoch shows them."""
_LINES_DEV: Final = ("icdar2015_dev", "funsd_dev", "sroie_dev")


def det_ic15(*, data_root: str = "data") -> Recipe:
    """PP-OCRv2's student, with all that PP-OCRv3's detector can give it.

    Its neck is another one. It begins with the convolutions of PP-OCRv3's, which is near enough
    for the network to find lines before it has learnt anything.

    Args:
        data_root: folder with ``icdar2015`` and ``models``.
    """
    return Recipe(
        name="det_ic15",
        description="words: PP-OCRv2's student",
        task=SupervisedDetectionConfig(
            initial_weights=_official(data_root, "backbone", "neck", "head")
        ),
        data=PagesConfig(labels=(f"{data_root}/icdar2015/train.txt",)),
        evaluation=DetectionEvaluatorConfig(labels=(f"{data_root}/icdar2015/dev.txt",)),
        epochs=1200,
        batch_size=8,
        optimizer=OptimizerConfig(learning_rate=1e-3),
        schedule=ScheduleConfig(kind="cosine", warm_up_epochs=2),
        evaluate_every_epochs=10,
    )


def det_ic15_cpu(*, data_root: str = "data") -> Recipe:
    """The same in an hour or two on two cores: some 13,000 crops instead of a million.

    They have 512 pixels and are full of page: half of PP-OCR's are black on these pages. At 512
    pixels their words are about as large as in the pages that it is evaluated on.
    """
    return replace(
        det_ic15(data_root=data_root),
        name="det_ic15_cpu",
        description="words: PP-OCRv2's student, in 14 epochs",
        data=PagesConfig(
            labels=(f"{data_root}/icdar2015/train.txt",), crop_size=512, fill_square=True
        ),
        epochs=14,
        schedule=ScheduleConfig(kind="cosine", warm_up_epochs=0.5),
        evaluate_every_epochs=4,
    )


def det_ic15_teacher(*, data_root: str = "data") -> Recipe:
    """PP-OCRv3's detector learns words; then it teaches."""
    return replace(
        det_ic15(data_root=data_root),
        name="det_ic15_teacher",
        description="words: PP-OCRv3's detector, to teach",
        task=SupervisedDetectionConfig(
            detector=_PP_OCRV3,
            initial_weights=_official(data_root, "backbone", "neck", "head"),
        ),
    )


def det_ic15_baseline(*, data_root: str = "data") -> Recipe:
    """PP-OCR's detector; what the rows of the ablation compare with.

    As in all of them the backbone alone begins with weights: other necks can't take any, and two
    students that learn from one another must differ.
    """
    return replace(
        det_ic15(data_root=data_root),
        name="det_ic15_baseline",
        description="ablation: PP-OCR's detector",
        task=SupervisedDetectionConfig(initial_weights=_official(data_root, "backbone")),
    )


def det_ic15_cosine(*, data_root: str = "data") -> Recipe:
    """Without the warm-up."""
    return replace(
        det_ic15_baseline(data_root=data_root),
        name="det_ic15_cosine",
        description="ablation: without warm-up",
        schedule=ScheduleConfig(kind="cosine"),
    )


def det_ic15_constant(*, data_root: str = "data") -> Recipe:
    """Without warm-up and cosine."""
    return replace(
        det_ic15_baseline(data_root=data_root),
        name="det_ic15_constant",
        description="ablation: constant learning rate",
        schedule=_CONSTANT,
    )


def det_ic15_se(*, data_root: str = "data") -> Recipe:
    """Constant learning rate, with squeeze-and-excitation.

    PP-OCRv3's backbone has no such gates, so theirs alone are random.
    """
    return replace(
        det_ic15_constant(data_root=data_root),
        name="det_ic15_se",
        description="ablation: constant learning rate, squeeze-and-excitation",
        task=SupervisedDetectionConfig(
            detector=DetectorConfig(backbone=MobileNetV3Config(squeeze_excite=True)),
            initial_weights=_official(data_root, "backbone"),
        ),
    )


def det_ic15_inner256(*, data_root: str = "data") -> Recipe:
    """Constant learning rate, squeeze-and-excitation and 256 channels in neck and head."""
    return replace(
        det_ic15_constant(data_root=data_root),
        name="det_ic15_inner256",
        description="ablation: constant learning rate, squeeze-and-excitation, 256 channels",
        task=SupervisedDetectionConfig(
            detector=DetectorConfig(
                backbone=MobileNetV3Config(squeeze_excite=True), neck=DbFpnConfig(channels=256)
            ),
            initial_weights=_official(data_root, "backbone"),
        ),
    )


def det_ic15_dml(*, data_root: str = "data") -> Recipe:
    """Two students learn from one another."""
    return replace(
        det_ic15_baseline(data_root=data_root),
        name="det_ic15_dml",
        description="words: two students (DML)",
        task=DmlDetectionConfig(initial_weights=_official(data_root, "backbone")),
    )


def det_ic15_distill(*, data_root: str = "data") -> Recipe:
    """One student learns from a teacher."""
    return replace(
        det_ic15_baseline(data_root=data_root),
        name="det_ic15_distill",
        description="words: a student and a teacher",
        task=DistillDetectionConfig(
            initial_weights=_official(data_root, "backbone"), teacher=_word_teacher()
        ),
    )


def det_ic15_cml(*, data_root: str = "data") -> Recipe:
    """Two students learn from one another and from a teacher: PP-OCRv2's detector."""
    return replace(
        det_ic15_baseline(data_root=data_root),
        name="det_ic15_cml",
        description="words: two students and a teacher (CML)",
        task=CmlDetectionConfig(
            initial_weights=_official(data_root, "backbone"), teacher=_word_teacher()
        ),
    )


def det_ic15_cml_copy_paste(*, data_root: str = "data") -> Recipe:
    """PP-OCRv2's detector with all of its strategies."""
    return replace(
        det_ic15_cml(data_root=data_root),
        name="det_ic15_cml_copy_paste",
        description="words: CML and CopyPaste",
        data=PagesConfig(labels=(f"{data_root}/icdar2015/train.txt",), copy_paste=True),
    )


def det_ic15_paper_loss(*, data_root: str = "data") -> Recipe:
    """The loss as DB's paper has it, instead of as PaddleOCR's code has it."""
    return replace(
        det_ic15_baseline(data_root=data_root),
        name="det_ic15_paper_loss",
        description="ablation: cross-entropy with hard negatives, as DB's paper",
        task=SupervisedDetectionConfig(
            initial_weights=_official(data_root, "backbone"), loss=DbLoss(reading="as_paper")
        ),
    )


def det_ic15_scratch(*, data_root: str = "data") -> Recipe:
    """From random weights; what other backbones, of which there are no weights, compare with."""
    return _of_backbone(
        MobileNetV3Config(),
        name="det_ic15_scratch",
        description="ablation: from random weights",
        data_root=data_root,
    )


def det_ic15_large(*, data_root: str = "data") -> Recipe:
    """From random weights, with twice the width."""
    return _of_backbone(
        MobileNetV3Config(scale=1.0),
        name="det_ic15_large",
        description="ablation: from random weights, MobileNetV3-large x1",
        data_root=data_root,
    )


def det_ic15_small(*, data_root: str = "data") -> Recipe:
    """From random weights, with fewer blocks of more width."""
    return _of_backbone(
        MobileNetV3Config(size="small", scale=1.0),
        name="det_ic15_small",
        description="ablation: from random weights, MobileNetV3-small x1",
        data_root=data_root,
    )


def det_ic15_pp_lcnet(*, data_root: str = "data") -> Recipe:
    """From random weights, with PP-LCNet."""
    return _of_backbone(
        PpLcNetConfig(),
        name="det_ic15_pp_lcnet",
        description="ablation: from random weights, PP-LCNet x1",
        data_root=data_root,
    )


def det_ic15_server(*, data_root: str = "data") -> Recipe:
    """The detector of PP-OCR's servers, which taught PP-OCRv2's: ResNet18 and 256 channels.

    PaddleOCR's had learnt tens of thousands of pages. This one starts at random.
    """
    return replace(
        det_ic15(data_root=data_root),
        name="det_ic15_server",
        description="words: ResNet18 with 256 channels",
        task=SupervisedDetectionConfig(
            detector=DetectorConfig(backbone=ResNetVdConfig(), neck=DbFpnConfig(channels=256))
        ),
    )


def det_lines(*, data_root: str = "data") -> Recipe:
    """PP-OCRv2's student finds lines: CML with a teacher of today, and CopyPaste.

    Both students begin with the backbone and the neck of PP-OCRv3's detector, which finds lines
    too; their heads differ. The average of the weights over some thousand steps is kept, which
    PP-OCRv2 did not do yet.

    Args:
        data_root: folder with ``lines``, ``models`` and the data sets.
    """
    return Recipe(
        name="det_lines",
        description="lines: PP-OCRv2's student, taught by PP-OCRv6 (CML)",
        task=CmlDetectionConfig(initial_weights=_official(data_root, "backbone", "neck")),
        data=PagesConfig(
            labels=tuple(f"{data_root}/lines/{name}.txt" for name in _LINES_TRAIN),
            repeats=tuple(_LINES_TRAIN.values()),
            synthetic=SyntheticPagesConfig(count=1000),
            teacher_maps=TeacherMapsConfig(model=f"{data_root}/models/PP-OCRv6_det_small.onnx"),
            copy_paste=True,
            colour_jitter=0.3,
        ),
        evaluation=DetectionEvaluatorConfig(
            labels=tuple(f"{data_root}/lines/{name}.txt" for name in _LINES_DEV),
            # Kernels are of boxes that the teacher's were grown to, and come out wider: what people
            # labelled in training pages is met best by growing them less, and by asking for less.
            unclip_ratio=1.1,
            box_threshold=0.5,
        ),
        epochs=200,
        batch_size=8,
        optimizer=OptimizerConfig(learning_rate=1e-3),
        schedule=ScheduleConfig(kind="cosine", warm_up_epochs=1),
        ema_decay=0.999,
        evaluate_every_epochs=5,
    )


def det_lines_cpu(*, data_root: str = "data") -> Recipe:
    """The same network in an hour or two of one core: one student, smaller crops, few epochs.

    It begins with all of PP-OCRv3's detector, as ``det_ic15`` does.
    """
    lines = det_lines(data_root=data_root)
    assert isinstance(lines.data, PagesConfig)
    return replace(
        lines,
        name="det_lines_cpu",
        description="lines: PP-OCRv2's student, taught by PP-OCRv6, in 6 epochs",
        task=DistillDetectionConfig(
            initial_weights=_official(data_root, "backbone", "neck", "head")
        ),
        data=replace(
            lines.data,
            synthetic=SyntheticPagesConfig(count=300),
            crop_size=512,
            fill_square=True,
        ),
        epochs=6,
        schedule=ScheduleConfig(kind="cosine", warm_up_epochs=0.3),
        ema_decay=0.998,
        evaluate_every_epochs=2,
    )


def det_lines_edge(*, data_root: str = "data") -> Recipe:
    """The detector that the product carries, taught by the same teacher.

    One student alone: two of a kind so small have little to tell one another, and cost twice.
    """
    return replace(
        det_lines(data_root=data_root),
        name="det_lines_edge",
        description="lines: the edge detector, taught by PP-OCRv6",
        task=DistillDetectionConfig(detector=edge_detector("medium")),
        batch_size=16,
        optimizer=OptimizerConfig(learning_rate=2e-3),
    )


def det_lines_slim(*, data_root: str = "data") -> Recipe:
    """The student's backbone with a neck and a head of few operations; then it is pruned.

    Two thirds of what the student computes are its neck and head. What is left of it has learnt
    lines already, and when it is pruned it costs no more than the edge detector, whose backbone
    begins with nothing.

    Without CopyPaste: so small a network went on better when its small turned texts were gone.
    """
    cpu = det_lines_cpu(data_root=data_root)
    assert isinstance(cpu.data, PagesConfig)
    assert isinstance(cpu.evaluation, DetectionEvaluatorConfig)
    return replace(
        cpu,
        name="det_lines_slim",
        description="lines: PP-OCRv2's backbone with a neck and a head for the edge",
        task=DistillDetectionConfig(
            detector=DetectorConfig(neck=EdgeNeckConfig(), head=EdgeHeadConfig(map_stride=1)),
            initial_weights=replace(_best_of("det_lines_cpu"), parts=("backbone",)),
        ),
        data=replace(cpu.data, copy_paste=False),
        evaluation=replace(cpu.evaluation, box_threshold=0.65),
        optimizer=OptimizerConfig(learning_rate=2e-3),
        epochs=3,
        ema_decay=0.99,
        evaluate_every_epochs=1,
    )


def _of_backbone(
    backbone: BackboneConfig, *, name: str, description: str, data_root: str
) -> Recipe:
    return replace(
        det_ic15_baseline(data_root=data_root),
        name=name,
        description=description,
        task=SupervisedDetectionConfig(detector=DetectorConfig(backbone=backbone)),
    )


def _official(data_root: str, *parts: Part) -> InitialWeights:
    return InitialWeights(official=f"{data_root}/models/ch_PP-OCRv3_det_infer.onnx", parts=parts)


def _word_teacher() -> TeacherConfig:
    return TeacherConfig(detector=_PP_OCRV3, weights=_best_of("det_ic15_teacher"))


def _best_of(recipe: str) -> InitialWeights:
    return InitialWeights(own=f"runs/{recipe}/best.pt")


RECIPES: Final[dict[str, RecipeFunction]] = {
    "det_ic15": det_ic15,
    "det_ic15_cpu": det_ic15_cpu,
    "det_ic15_teacher": det_ic15_teacher,
    "det_ic15_baseline": det_ic15_baseline,
    "det_ic15_cosine": det_ic15_cosine,
    "det_ic15_constant": det_ic15_constant,
    "det_ic15_se": det_ic15_se,
    "det_ic15_inner256": det_ic15_inner256,
    "det_ic15_dml": det_ic15_dml,
    "det_ic15_distill": det_ic15_distill,
    "det_ic15_cml": det_ic15_cml,
    "det_ic15_cml_copy_paste": det_ic15_cml_copy_paste,
    "det_ic15_paper_loss": det_ic15_paper_loss,
    "det_ic15_scratch": det_ic15_scratch,
    "det_ic15_large": det_ic15_large,
    "det_ic15_small": det_ic15_small,
    "det_ic15_pp_lcnet": det_ic15_pp_lcnet,
    "det_ic15_server": det_ic15_server,
    "det_lines": det_lines,
    "det_lines_cpu": det_lines_cpu,
    "det_lines_edge": det_lines_edge,
    "det_lines_slim": det_lines_slim,
}
