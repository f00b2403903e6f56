"""Networks small enough to be emulated in seconds, large enough that their arithmetic counts.

    python tests/benchmarks/emulation/sample_stages.py

records instruction_ceilings.json beside this file. The weights are random and of no use: what
is tested is that every processor computes the same with them, and with how many instructions.
Layers are those of the real networks as far as kernels are concerned: a convolution that looks
at pixels, one of 3x3, one of 1x1, and one of the whole height.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeocr.bundle import Bundle, Signature
from edgeocr_benchmarks.emulation import BOARDS, prepare_board
from edgeocr_benchmarks.emulation.counting import Counted, net_instructions, run_on_board
from edgeocr_benchmarks.emulation.stages import StageWork

HERE: Final = Path(__file__).parent
CEILINGS: Final = HERE / "instruction_ceilings.json"
HELD: Final = ("det.inference", "cls.inference", "rec.inference")

DET: Final = (160, 160)
CLS: Final = (48, 192)
REC: Final = ((48, 160), (48, 320))
REPEATS: Final = 3

_SCALE: Final = 1 / 32
"""Of every tensor inside: with weights as below, its values use most of their 256 steps."""


def tiny_bundles() -> ModuleType:
    """The script that makes the tiny bundles, for its builder of models."""
    name = "make_tiny_bundle"
    if name not in sys.modules:
        path = HERE.parents[1] / "golden" / f"{name}.py"
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)  # Dataclasses look it up.
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


class _Layers:
    """Convolutions one after another, over shared random weights."""

    def __init__(self, builder: Any, height: int, width: int) -> None:
        tiny = tiny_bundles()
        self.name = tiny.signature_name(height, width)
        self._graph = builder.graph(self.name)
        self._shape = (height, width, 3)
        self._input_scale = tiny.INPUT_SCALE
        self._given = self._last = self._graph.tensor(
            "image", [1, *self._shape], scale=self._input_scale
        )

    def convolve(
        self,
        channels: int,
        kernel: tuple[int, int],
        *,
        stride: tuple[int, int] = (1, 1),
        gain: float = 2,
        relu: bool = True,
        scale: float = _SCALE,
        zero_point: int = -128,
    ) -> None:
        height, width, given = self._shape
        # The same for every width, so that the signatures share them.
        random = np.random.default_rng(1000 * channels + 10 * given + kernel[0])
        spread = gain / (given * np.prod(kernel)) ** 0.5
        weights = random.normal(size=(channels, *kernel, given)) * spread
        bias = random.normal(size=channels) / 4
        self._shape = (
            (height - kernel[0]) // stride[0] + 1,
            (width - kernel[1]) // stride[1] + 1,
            channels,
        )
        self._last = self._graph.convolution(
            self._last,
            weights,
            bias,
            stride=stride,
            shape=[1, *self._shape],
            scale=scale,
            zero_point=zero_point,
            relu=relu,
            input_scale=self._input_scale,
        )
        self._input_scale = scale

    def logits(self, classes: int, kernel: tuple[int, int], rank: int) -> None:
        """A convolution of the whole height, and its output with fewer axes."""
        self.convolve(classes, kernel, stride=kernel, relu=False, scale=0.25, zero_point=0)
        shape = [1, *self._shape[3 - rank + 1 :]]
        self._last = self._graph.reshape(self._last, shape, scale=0.25)

    def finish(self) -> None:
        self._graph.finish(self.name, self._given, self._last)


def _detector() -> bytes:
    builder = tiny_bundles().ModelBuilder("int8")
    layers = _Layers(builder, *DET)
    layers.convolve(16, (2, 2), stride=(2, 2))
    layers.convolve(16, (3, 3))
    layers.convolve(32, (1, 1))
    layers.convolve(1, (1, 1), gain=1.5, scale=1 / 256)
    layers.finish()
    return bytes(builder.content())


def _classifier() -> bytes:
    builder = tiny_bundles().ModelBuilder("int8")
    layers = _Layers(builder, *CLS)
    layers.convolve(16, (2, 2), stride=(2, 2))
    layers.convolve(32, (3, 3))
    layers.logits(2, (22, 94), rank=2)
    layers.finish()
    return bytes(builder.content())


def _recogniser(classes: int) -> bytes:
    builder = tiny_bundles().ModelBuilder("int8")
    for height, width in REC:
        layers = _Layers(builder, height, width)
        layers.convolve(16, (2, 2), stride=(2, 2))
        layers.convolve(64, (1, 1))
        layers.convolve(32, (1, 1))
        layers.logits(classes, (24, 4), rank=3)
        layers.finish()
    return bytes(builder.content())


def write_bundle(folder: Path) -> Path:
    """Writes the bundle into a new folder of that name, and returns it."""
    tiny = Bundle.open(HERE.parents[1] / "golden/tiny-int8")
    assert tiny.location is not None
    charset = (tiny.location / "charset.txt").read_bytes()
    folder.mkdir()
    (folder / "charset.txt").write_bytes(charset)
    stages = tiny.stages
    made: dict[str, Any] = {}
    for stage, content, shapes in (
        ("det", _detector(), (DET,)),
        ("cls", _classifier(), (CLS,)),
        ("rec", _recogniser(stages.rec.classes), REC),
    ):
        (folder / f"{stage}.tflite").write_bytes(content)
        made[stage] = replace(
            getattr(stages, stage),
            bytes=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
            signatures=tuple(
                Signature(
                    name=tiny_bundles().signature_name(*shape), height=shape[0], width=shape[1]
                )
                for shape in shapes
            ),
        )
    made["det"] = replace(made["det"], limit_side=160, max_side=160)
    bundle = replace(
        tiny, name="sample", stages=replace(stages, **made), origin={"weights": "random"}
    )
    bundle.write_manifest(folder)
    return folder


def write_work(folder: Path) -> StageWork:
    """Writes bundle, page and line, and returns what to run on them."""
    page, line = folder / "page.png", folder / "line.png"
    assert cv2.imwrite(str(page), _noise(120, 160))
    assert cv2.imwrite(str(line), _noise(48, 400))
    return StageWork(
        bundle=str(write_bundle(folder / "bundle")),
        page=str(page),
        line=str(line),
        side=160,
        widths=tuple(width for _, width in REC),
        repeats=REPEATS,
    )


def _noise(height: int, width: int) -> NDArray[np.uint8]:
    """Blots of all colours: every pixel value, and edges."""
    blots = np.random.default_rng(7).integers(0, 256, (height // 4, width // 4, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(blots, (width, height)), dtype=np.uint8)


def held_counts(counted: Counted) -> dict[str, int]:
    """Instructions of the networks: the least of the repetitions, by step and shape."""
    return {
        f"{step.step} {step.shape}": min(net_instructions(counted, step))
        for step in counted.run.steps
        if step.step in HELD
    }


def main() -> int:
    with tempfile.TemporaryDirectory() as scratch:
        work = write_work(Path(scratch))
        ceilings = {name: held_counts(run_on_board(prepare_board(name), work)) for name in BOARDS}
    CEILINGS.write_text(json.dumps(ceilings, indent=2) + "\n", encoding="ascii")
    print(CEILINGS)
    return 0


if __name__ == "__main__":
    sys.exit(main())
