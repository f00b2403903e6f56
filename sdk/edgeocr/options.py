"""What a caller wishes for one call.

Facts about the models live in the bundle; wishes live here. ``None`` means "the value
that the bundle recommends". Options are passed per call and never change the engine.
"""

from dataclasses import dataclass
from typing import Final, Literal

from edgeocr.errors import OptionError

LimitType = Literal["min", "max"]
ScoreMode = Literal["fast", "slow"]
BoxType = Literal["quad", "polygon"]

MAX_PIXELS: Final = 100_000_000
"""Default limit on width x height of an input image: 100 megapixels, 300 MB as BGR."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OcrOptions:
    """Wishes for one call of :class:`edgeocr.Ocr`.

    Raises:
        OptionError: a value is outside of the range that its comment gives.
    """

    # Stages. Without ``orient`` every line counts as upright; without ``recognise`` lines
    # carry boxes and detection scores, and an empty text.
    orient: bool = True
    recognise: bool = True

    # Detection: names and meaning are those of PP-OCR's DB post-processing.
    limit_side: int | None = None
    """Side in pixels that ``limit_type`` speaks of; at least 32."""
    limit_type: LimitType | None = None
    """"max": shrink until the longer side fits. "min": grow until the shorter side does."""
    threshold: float | None = None
    """Probability in (0, 1) above which a pixel is text (``det_db_thresh``)."""
    box_threshold: float | None = None
    """Mean probability in [0, 1] below which a box is dropped (``det_db_box_thresh``)."""
    unclip_ratio: float | None = None
    """Growth of the shrunk text kernel, in (0, 10] (``det_db_unclip_ratio``)."""
    max_candidates: int | None = None
    """Contours looked at per image, 1 to 100,000."""
    dilation: bool | None = None
    """Dilate the mask by 2x2 before the contours are traced (``use_dilation``)."""
    score_mode: ScoreMode | None = None
    """"fast": mean over the rectangle. "slow": mean over the contour's own polygon."""
    box_type: BoxType = "quad"
    """"polygon" adds the curved outline of a line to its ``polygon``."""

    # Orientation and recognition.
    orientation_threshold: float | None = None
    """Probability in [0, 1] of "180" from which a line is turned (``cls_thresh``)."""
    min_score: float | None = None
    """Lines whose text scores less, in [0, 1], are dropped (``drop_score``)."""
    characters: bool = False
    """Give every character of a line its own quad and confidence."""

    # Guards.
    max_pixels: int = MAX_PIXELS
    """Images with more pixels are refused before they are decoded."""

    def __post_init__(self) -> None:
        if self.limit_side is not None and self.limit_side < 32:
            raise OptionError(f"limit_side is {self.limit_side}; it must be at least 32")
        for name, valid in (
            ("limit_type", ("min", "max")),
            ("score_mode", ("fast", "slow")),
            ("box_type", ("quad", "polygon")),
        ):
            value = getattr(self, name)
            if value is not None and value not in valid:
                raise OptionError(f"{name} is {value!r}; it must be one of {', '.join(valid)}")
        for name in ("threshold", "box_threshold", "orientation_threshold", "min_score"):
            value = getattr(self, name)
            if value is not None and not 0.0 <= value <= 1.0:
                raise OptionError(f"{name} is {value}; it must be in [0, 1]")
        if self.unclip_ratio is not None and not 0.0 < self.unclip_ratio <= 10.0:
            raise OptionError(f"unclip_ratio is {self.unclip_ratio}; it must be in (0, 10]")
        if self.max_candidates is not None and not 1 <= self.max_candidates <= 100_000:
            raise OptionError(f"max_candidates is {self.max_candidates}; it must be 1 to 100000")
        if self.max_pixels < 1:
            raise OptionError(f"max_pixels is {self.max_pixels}; it must be positive")
