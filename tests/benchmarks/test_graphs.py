from pathlib import Path
from types import ModuleType

import pytest

from edgeocr.bundle import Bundle
from edgeocr_benchmarks.device_results import DeviceResult
from edgeocr_benchmarks.graphs import graph, operator_macs, total_macs
from edgeocr_benchmarks.instruction_results import InstructionResult
from edgeocr_benchmarks.results import read_result
from edgeocr_conversion.delegation import delegation_report

GOLDEN = Path(__file__).resolve().parents[1] / "golden"


@pytest.mark.parametrize("name", ["tiny-int8", "tiny-fp32"])
@pytest.mark.parametrize("stage", ["det", "cls", "rec"])
def test_every_signature_is_counted_as_the_converter_counts_it(name: str, stage: str) -> None:
    """Two ways to the same figures: the runtime's list of nodes, and the file's flatbuffer."""
    bundle = Bundle.open(GOLDEN / name)
    model = getattr(bundle.stages, stage)
    report = delegation_report(GOLDEN / name / model.file)
    by_name = {signature.name: signature for signature in report.signatures}
    for signature in model.signatures:
        expected = by_name[signature.name]
        found = graph(bundle, stage, f"{signature.height}x{signature.width}")  # type: ignore[arg-type]
        assert found is not None
        assert {op.kind: op.count for op in found.operators} == dict(expected.operators)
        assert sum(op.delegated for op in found.operators) == expected.delegated
        assert found.partitions == expected.partitions
        assert sum(total_macs([found]).values()) == expected.macs


SHAPES = {0: (1, 8, 10, 4), 1: (6, 3, 5, 4), 2: (1, 3, 3, 4), 3: (1, 8, 10, 6), 4: (12, 7)}


@pytest.mark.parametrize(
    ("kind", "inputs", "output", "macs"),
    [
        ("CONV_2D", (0, 1), 3, 8 * 10 * 6 * 3 * 5 * 4),
        ("DEPTHWISE_CONV_2D", (0, 2), 0, 8 * 10 * 4 * 9),
        # Shape of the result, weights, input: 8 x 10 x 4 values meet a 3 x 5 kernel of 6 filters.
        ("TRANSPOSE_CONV", (4, 1, 0), 3, 8 * 10 * 4 * 3 * 5 * 6),
        ("FULLY_CONNECTED", (0, 4), 3, 8 * 10 * 6 * 7),
        ("BATCH_MATMUL", (0, 2), 3, 8 * 10 * 4 * 6),
        ("ADD", (0, 0), 0, 0),
    ],
)
def test_multiplications_by_hand(
    kind: str, inputs: tuple[int, ...], output: int, macs: int
) -> None:
    operator = {"op_name": kind, "inputs": inputs, "outputs": (output,)}
    assert operator_macs(operator, SHAPES) == macs


def test_a_resized_network_by_hand(sample_stages: ModuleType, tmp_path: Path) -> None:
    """At an input that no signature has: every layer's outputs times its weights.

    The detector of emulation/sample_stages.py: 2x2 with a stride of 2, 3x3 and twice 1x1, none
    of them padded.
    """
    bundle = Bundle.open(sample_stages.write_bundle(tmp_path / "bundle"))
    found = graph(bundle, "det", "96x224")
    assert found is not None
    macs = 48 * 112 * 16 * (2 * 2 * 3)
    macs += 46 * 110 * 16 * (3 * 3 * 16)
    macs += 46 * 110 * 32 * 16
    macs += 46 * 110 * 1 * 32
    assert total_macs([found]) == {"det 96x224": macs}
    (operator,) = found.operators
    assert (operator.kind, operator.count, operator.delegated) == ("CONV_2D", 4, 4)


RESULTS = Path(__file__).resolve().parents[2] / "benchmarks/results"
# What one instruction multiplies: bytes by SDOT, 32-bit floats by FMLA.
PRODUCTS = {"sdot": 16, "fmla": 4}


@pytest.mark.parametrize("shape", ["rec 48x640", "rec 48x1280"])
def test_multiplications_are_those_that_a_processor_made(shape: str) -> None:
    """Two records of PP-OCRv4: what was counted from its graph, and what an A76 executed.

    The recogniser's width is a resized one. Depthwise convolutions go by other instructions.
    Executed is a little more: kernels fill up their tiles, and a few FMLA belong to softmax and
    activations.
    """
    device = read_result(RESULTS / "device-ppocrv4-int8.json")
    instructions = read_result(RESULTS / "instructions-ppocrv4-int8.json")
    assert isinstance(device, DeviceResult)
    assert isinstance(instructions, InstructionResult)
    (counted,) = (g for g in device.bundles[0].graphs if f"{g.stage} {g.shape}" == shape)
    dense = sum(op.macs for op in counted.operators if op.kind != "DEPTHWISE_CONV_2D")
    (step,) = (
        step
        for board in instructions.boards
        for step in board.steps
        if board.board == "pi5" and shape == f"rec {step.shape}" and step.step == "rec.inference"
    )
    executed = sum(n * step.mnemonics[name] for name, n in PRODUCTS.items())
    assert dense < executed < 1.03 * dense
