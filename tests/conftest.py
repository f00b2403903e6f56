"""What several areas of the tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parents[1]

# The same examples in every run, so that a change is judged and not the dice; no deadline,
# because a test that proves behaviour must not fail on a busy machine.
settings.register_profile("edgeocr", derandomize=True, deadline=None)
settings.load_profile("edgeocr")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real images with ground truth: EDGEOCR_DATA, or shared/data beside the checkout.

    They may not be passed on, so a checkout alone has none, and tests that want them are skipped.
    """
    folder = Path(os.environ.get("EDGEOCR_DATA", ROOT.parent / "shared/data"))
    if not folder.is_dir():
        pytest.skip(f"no real images in {folder}; name another folder in EDGEOCR_DATA")
    return folder
