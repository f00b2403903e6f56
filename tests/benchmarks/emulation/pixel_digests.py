"""Everything of the SDK that computes with pixels, once; prints checksums, and boxes.

    python tests/benchmarks/emulation/pixel_digests.py FOLDER

FOLDER holds page.png and page.jpg. Run on a board and on this machine: results that depend on
the processor have different checksums.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeocr.db_boxes import DbParameters, decode_boxes
from edgeocr.images import load_image
from edgeocr.pixels import crop_line, fit, input_table, stretch

SIDES = ((96, 128), (333, 257), (640, 640), (736, 992))
"""Heights and widths that a page of 480x640 is brought to, smaller and larger, even and odd."""
HEIGHTS = (32, 48)


def pixels_and_boxes(folder: Path) -> dict[str, Any]:
    found: dict[str, str] = {}

    def note(name: str, *arrays: Any) -> None:
        digest = hashlib.sha256()
        for array in arrays:
            digest.update(np.ascontiguousarray(array).tobytes())
        found[name] = digest.hexdigest()

    page = load_image(folder / "page.png")
    photo = load_image(folder / "page.jpg")
    note("load png", page)
    note("load jpg", photo)
    note("load 16 bits", load_image(photo.astype(np.uint16) * 257 + 3))
    note("load transparent", load_image(np.dstack([page, photo[: page.shape[0], :, 0]])))
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    bytes_table = input_table(mean=mean, std=std, channel_order="BGR", scale=1 / 50)
    floats_table = input_table(mean=mean, std=std, channel_order="RGB", scale=None)
    for table in (bytes_table, floats_table):
        kind = table.values.dtype
        for height, width in SIDES:
            note(
                f"fit {kind} {height}x{width}",
                fit(photo, height=height, width=width, table=table)[0],
            )
            made, _ = stretch(photo, height=height, width=width, table=table)
            note(f"stretch {kind} {height}x{width}", made)

    random = np.random.default_rng(11)
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]])
    for i in range(40):
        size = random.uniform((20, 8), (320, 60))
        turn = random.normal(0, 0.3) + np.pi * (i % 5 == 4)
        turned = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
        quad = (corners * size) @ turned + random.uniform((0, 0), (500, 400))
        crop = crop_line(photo, quad + random.normal(0, 1.5, (4, 2)))
        note(f"crop {i}", crop.pixels, crop.to_image)
        for height in HEIGHTS:
            line, _ = fit(crop.pixels, height=height, width=320, table=bytes_table)
            note(f"line {i} of {height} rows", line)

    # Text is dark: as a map of probabilities its blurred negative has kernels of all kinds.
    grey = cv2.cvtColor(page, cv2.COLOR_BGR2GRAY)
    ink = np.asarray(cv2.blur(255 - grey, (13, 5)), dtype=np.uint8)
    parameters = DbParameters(
        threshold=0.15, box_threshold=0.1, unclip_ratio=1.5, max_candidates=1000
    )
    maps: dict[str, tuple[NDArray[Any], float, int]] = {
        "int8": ((ink ^ 0x80).view(np.int8), 1 / 255, -128),
        "float32": ((ink / 255).astype(np.float32), 1.0, 0),
    }
    boxes = {
        kind: [
            [*box.quad.ravel().tolist(), box.score]
            for box in decode_boxes(
                values, scale=scale, zero_point=zero_point, parameters=parameters
            )
        ]
        for kind, (values, scale, zero_point) in maps.items()
    }
    return {"checksums": found, "boxes": boxes}


if __name__ == "__main__":
    print(json.dumps(pixels_and_boxes(Path(sys.argv[1]))))
