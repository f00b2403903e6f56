"""What the classifier is shown of a line."""

from pathlib import Path

import numpy as np
import pytest

from edgeocr import Bundle
from edgeocr.orientation import MOST_SQUASH, OrientationClassifier


@pytest.fixture
def classifier(tiny: Path) -> OrientationClassifier:
    return OrientationClassifier(Bundle.open(tiny), workers=1)


def test_of_a_very_long_line_the_middle_is_judged(
    tiny: Path, classifier: OrientationClassifier
) -> None:
    (bucket,) = Bundle.open(tiny).stages.cls.signatures
    judged = MOST_SQUASH * 20 * bucket.width // bucket.height
    middle = np.random.default_rng(0).integers(0, 256, (20, judged, 3), dtype=np.uint8)
    ends = np.zeros((20, 3 * judged, 3), dtype=np.uint8)
    line = np.concatenate([ends, middle, ends], axis=1)
    np.testing.assert_array_equal(classifier.prepare(line), classifier.prepare(middle))


def test_a_line_within_the_squash_is_shown_whole(
    tiny: Path, classifier: OrientationClassifier
) -> None:
    (bucket,) = Bundle.open(tiny).stages.cls.signatures
    judged = MOST_SQUASH * 20 * bucket.width // bucket.height
    line = np.zeros((20, judged, 3), dtype=np.uint8)
    marked = line.copy()
    marked[:, :4] = marked[:, -4:] = 255
    tensor = classifier.prepare(marked).astype(float) - classifier.prepare(line)
    assert tensor[0, :, 0].any()
    assert tensor[0, :, -1].any()
