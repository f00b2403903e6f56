#!/usr/bin/env python3
"""Reads images with the SDK and with the Java pipeline, and records where they differ.

    compare_with_python.py --bundle bundles/ppocrv4-int8 --out FILE IMAGE...

Both get the same pixels and the same models; Java runs on this machine's JVM. The exit code is 1
where a text differs.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edgeocr import Bundle, EdgeOcrError, Ocr, TextLine
from edgeocr.images import load_image
from edgeocr.whole_files import write_whole

HERE = Path(__file__).resolve().parent


def compare(name: str, python: list[TextLine], java: list[dict[str, Any]]) -> dict[str, Any]:
    """One image: how many lines, how many texts are the same, and the largest differences."""
    ours = [line.text for line in python]
    theirs = [line["text"] for line in java]
    record = {
        "image": name,
        "lines": len(ours),
        "same_texts": sum(a == b for a, b in zip(ours, theirs, strict=False)),
        "same": ours == theirs,
    }
    if len(ours) == len(theirs):
        pairs = list(zip(python, java, strict=True))
        boxes = [np.abs(a.box - np.array(b["box"])).max() for a, b in pairs]
        scores = [abs(a.score - b["score"]) for a, b in pairs]
        record["largest_box_difference_px"] = float(max(boxes, default=0))
        record["largest_score_difference"] = float(max(scores, default=0))
    return record


def java_lines(bundle: Path, images: list[Path]) -> list[list[dict[str, Any]]]:
    """What the JVM reads; its complaints go to stderr.

    Raises:
        subprocess.CalledProcessError: it can't.
    """
    answer = subprocess.run(
        [HERE / "desktop.sh", "read", bundle, "1", *images],
        env={"PYTHON": sys.executable, **os.environ},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return [json.loads(row)["lines"] for row in answer.stdout.splitlines()]


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--bundle", type=Path, required=True, help="folder with bundle.json")
    parser.add_argument("--out", type=Path, required=True, help="record, as JSON")
    parser.add_argument("images", type=Path, nargs="+", metavar="IMAGE")
    options = parser.parse_args(arguments)
    try:
        bundle = Bundle.open(options.bundle)
        ocr = Ocr.load(bundle, threads=1)
        pictures = [load_image(path) for path in options.images]
        python = [list(ocr.read(picture)) for picture in pictures]
        with tempfile.TemporaryDirectory() as folder:
            # Decoders of JPEG differ by a grey level: both get what Python decoded.
            files = [Path(folder) / f"{i}.png" for i in range(len(pictures))]
            for file, picture in zip(files, pictures, strict=True):
                cv2.imwrite(str(file), picture)
            java = java_lines(options.bundle, files)
    except (EdgeOcrError, subprocess.CalledProcessError) as error:
        print(f"compare_with_python: {error}", file=sys.stderr)
        return 2
    names = [path.name for path in options.images]
    images = [compare(*found) for found in zip(names, python, java, strict=True)]
    stages = bundle.stages
    record = {
        "bundle": bundle.name,
        "sha256": {"det": stages.det.sha256, "cls": stages.cls.sha256, "rec": stages.rec.sha256},
        "images": len(images),
        "lines": sum(image["lines"] for image in images),
        "same_texts": sum(image["same_texts"] for image in images),
        "differences": [image for image in images if not image["same"]],
        "each": images,
    }
    write_whole(options.out, (json.dumps(record, indent=1, ensure_ascii=False) + "\n").encode())
    print(f"{record['same_texts']} of {record['lines']} texts are the same")
    return 0 if all(image["same"] for image in images) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
