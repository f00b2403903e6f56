from pathlib import Path

import pytest

from edgeocr.bundle import Bundle
from edgeocr_benchmarks.graphs import graph, operator_macs, total_macs
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
