"""What a mixed batch shows is what its probabilities say."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeocr_training.data.mixing import cutmix, mixup

seeds_st = st.integers(0, 2**32)


def batch(size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Sample i is i everywhere and of class i, so that pixels say where they come from."""
    label_B = torch.arange(size)
    return label_B.float()[:, None, None, None].expand(size, 3, 12, 40).clone(), label_B


@given(seeds_st, st.integers(1, 6), st.floats(0.1, 5))
@settings(max_examples=40)
def test_the_sum_of_images_is_the_sum_of_classes(seed: int, size: int, alpha: float) -> None:
    image_BCHW, label_B = batch(size)
    torch.manual_seed(seed)
    mixed = mixup(image_BCHW, label_B, classes=size, alpha=alpha)
    torch.testing.assert_close(mixed.probability_BK.sum(1), torch.ones(size))
    expected_B = mixed.probability_BK @ label_B.float()
    torch.testing.assert_close(
        mixed.image_BCHW, expected_B[:, None, None, None].expand(size, 3, 12, 40)
    )


@given(seeds_st, st.integers(1, 6), st.floats(0.1, 5))
@settings(max_examples=40)
def test_areas_of_the_pieces_are_the_probabilities(seed: int, size: int, alpha: float) -> None:
    image_BCHW, label_B = batch(size)
    before = image_BCHW.clone()
    torch.manual_seed(seed)
    mixed = cutmix(image_BCHW, label_B, classes=size, alpha=alpha)
    torch.testing.assert_close(image_BCHW, before)
    for shown_CHW, probability_K in zip(mixed.image_BCHW, mixed.probability_BK, strict=True):
        share_K = torch.stack([(shown_CHW == k).float().mean() for k in range(size)])
        torch.testing.assert_close(share_K, probability_K)


@pytest.mark.parametrize("mix", [mixup, cutmix])
def test_torchs_generator_decides_alone_and_samples_are_mixed(mix: object) -> None:
    assert callable(mix)
    image_BCHW, label_B = batch(4)
    shown = []
    for seed in (0, 0, 1, 2, 3):
        torch.manual_seed(seed)
        shown.append(mix(image_BCHW, label_B, classes=4, alpha=1.0).probability_BK)
    assert torch.equal(shown[0], shown[1])
    assert not torch.equal(shown[0], shown[2])
    assert any(((p > 0.05) & (p < 0.95)).any() for p in shown)
