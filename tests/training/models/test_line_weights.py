"""What recognisers and classifiers may start from, and what is told where they can't."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from edgeocr_training.errors import CheckpointError, RecipeError
from edgeocr_training.models.classifier import ClassifierConfig
from edgeocr_training.models.classifier_weights import ClassifierWeights
from edgeocr_training.models.ctc_head import CtcHeadConfig
from edgeocr_training.models.edge_line_neck import EdgeLineNeckConfig
from edgeocr_training.models.recogniser import RecogniserConfig
from edgeocr_training.models.recogniser_weights import RecogniserWeights

RECOGNISER = RecogniserConfig(neck=EdgeLineNeckConfig(), head=CtcHeadConfig(classes=9))
OTHER_ALPHABET = RecogniserConfig(neck=EdgeLineNeckConfig(), head=CtcHeadConfig(classes=7))
CLASSIFIER = ClassifierConfig()


def saved(network: nn.Module, path: Path) -> str:
    torch.save({"student": network.state_dict()}, path)
    return str(path)


def changed(network: nn.Module, before: dict[str, torch.Tensor]) -> set[str]:
    """Children of which a tensor is another than before."""
    return {
        name.partition(".")[0]
        for name, tensor in network.state_dict().items()
        if not torch.equal(tensor, before[name])
    }


def copy_of(network: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def test_a_recogniser_starts_from_its_own_weights(tmp_path: Path) -> None:
    trained, fresh = RECOGNISER.build(), RECOGNISER.build()
    RecogniserWeights(own=saved(trained, tmp_path / "a.pt")).load_into(fresh)
    assert not changed(fresh, copy_of(trained))


def test_another_alphabet_starts_from_parts(tmp_path: Path) -> None:
    own = saved(RECOGNISER.build(), tmp_path / "a.pt")
    fresh = OTHER_ALPHABET.build()
    before = copy_of(fresh)
    with pytest.raises(CheckpointError, match=r"'head\.classes\.weight' has the shape \(9, 96\)"):
        RecogniserWeights(own=own).load_into(fresh)
    assert not changed(fresh, before)
    RecogniserWeights(own=own, parts=("backbone", "neck")).load_into(fresh)
    assert changed(fresh, before) == {"backbone", "neck"}


def test_a_part_of_another_kind_is_named(tmp_path: Path) -> None:
    own = saved(RECOGNISER.build(), tmp_path / "a.pt")
    recurrent = RecogniserConfig(head=CtcHeadConfig(classes=9)).build()
    with pytest.raises(CheckpointError, match=r"a\.pt has no 'neck\.lstm\.weight_ih_l0'"):
        RecogniserWeights(own=own, parts=("neck",)).load_into(recurrent)


def test_a_recogniser_starts_from_the_official_weights(official_recogniser: Path) -> None:
    fresh = OTHER_ALPHABET.build()
    before = copy_of(fresh)
    official = RecogniserWeights(official=str(official_recogniser), parts=("backbone",))
    official.load_into(fresh)
    assert changed(fresh, before) == {"backbone"}
    with pytest.raises(CheckpointError, match="has a BiLSTM; the recogniser has a EdgeLineNeck"):
        RecogniserWeights(official=str(official_recogniser), parts=("neck",)).load_into(fresh)


def test_classes_are_a_part_of_the_head(tmp_path: Path, official_recogniser: Path) -> None:
    """What stays as it was made: the layer that reads the neck, which may be another one."""
    fresh = RECOGNISER.build()
    before = copy_of(fresh)
    own = saved(RECOGNISER.build(), tmp_path / "a.pt")
    RecogniserWeights(own=own, parts=("backbone", "head.classes")).load_into(fresh)
    assert changed(fresh, before) == {"backbone", "head"}
    assert torch.equal(copy_of(fresh)["head.features.weight"], before["head.features.weight"])
    trained = RecogniserConfig(neck=EdgeLineNeckConfig()).build()
    before = copy_of(trained)
    official = RecogniserWeights(official=str(official_recogniser), parts=("head.classes",))
    official.load_into(trained)
    assert changed(trained, before) == {"head"}
    after = copy_of(trained)
    assert torch.equal(after["head.features.weight"], before["head.features.weight"])
    assert not torch.equal(after["head.classes.weight"], before["head.classes.weight"])


def test_a_classifier_starts_from_its_own_and_from_the_official_weights(
    tmp_path: Path, official_classifier: Path
) -> None:
    trained, fresh = CLASSIFIER.build(), CLASSIFIER.build()
    ClassifierWeights(official=str(official_classifier)).load_into(trained)
    before = copy_of(fresh)
    ClassifierWeights(own=saved(trained, tmp_path / "a.pt")).load_into(fresh)
    assert changed(fresh, before) == {"backbone", "classes"}
    assert not changed(fresh, copy_of(trained))


def test_none_leaves_the_weights() -> None:
    recogniser, classifier = OTHER_ALPHABET.build(), CLASSIFIER.build()
    copies = copy_of(recogniser), copy_of(classifier)
    RecogniserWeights().load_into(recogniser)
    ClassifierWeights().load_into(classifier)
    assert not changed(recogniser, copies[0])
    assert not changed(classifier, copies[1])


def test_only_one_file_may_be_named() -> None:
    with pytest.raises(RecipeError, match=r"from a\.pt or from b\.onnx, not from both"):
        RecogniserWeights(own="a.pt", official="b.onnx").load_into(OTHER_ALPHABET.build())
    with pytest.raises(RecipeError, match=r"from a\.pt or from b\.onnx, not from both"):
        ClassifierWeights(own="a.pt", official="b.onnx").load_into(CLASSIFIER.build())
