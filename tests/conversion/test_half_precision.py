from collections.abc import Callable
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter  # type: ignore[import-untyped]

from edgeocr_conversion.delegation import delegation_report
from edgeocr_conversion.flatbuffer import (
    merge_signatures,
    operator_name,
    read_model,
    serialise_model,
    split_signatures,
    write_model,
)
from edgeocr_conversion.half_precision import to_half_precision


def test_weights_halve_and_xnnpack_takes_them(
    tiny_bundle: Callable[[str], Path], tmp_path: Path
) -> None:
    source = tiny_bundle("fp32") / "rec.tflite"
    parts = split_signatures(read_model(source))
    half = {name: to_half_precision(part) for name, part in parts.items()}
    path = tmp_path / "half.tflite"
    write_model(merge_signatures(half), path)
    # 6 x 16 x 4 x 3 weights lose two bytes each.
    full = len(serialise_model(merge_signatures(parts)))
    assert full - path.stat().st_size > 1.5 * 6 * 16 * 4 * 3
    for signature in delegation_report(path).signatures:
        assert signature.operators["DEQUANTIZE"] == 1
        assert signature.partitions == 1
        assert signature.outside == ()


def test_outputs_differ_by_the_rounding_of_the_weights(
    tiny_bundle: Callable[[str], Path],
) -> None:
    parts = split_signatures(read_model(tiny_bundle("fp32") / "rec.tflite"))
    name, part = next(iter(parts.items()))
    before = serialise_model(part)
    outputs = []
    for content in (before, serialise_model(to_half_precision(part))):
        runner = Interpreter(model_content=content).get_signature_runner(name)
        ((entry, details),) = runner.get_input_details().items()
        image = np.random.default_rng(0).uniform(-1, 1, details["shape"]).astype(np.float32)
        (output,) = runner(**{entry: image}).values()
        outputs.append(output)
    # 192 products of weights of at most 0.25, each rounded by 2^-11 of itself.
    assert np.abs(outputs[0] - outputs[1]).max() < 192 * 0.25 * 2**-11
    assert serialise_model(part) == before, "the source must not change"


def test_what_float16_cannot_hold_stays(tiny_bundle: Callable[[str], Path]) -> None:
    (name, part), *_ = split_signatures(read_model(tiny_bundle("fp32") / "rec.tflite")).items()
    for tensor in part.subgraphs[0].tensors:
        if len(tensor.shape) == 4 and tensor.buffer:
            huge = np.full(tensor.shape, 1e6, np.float32)
            part.buffers[tensor.buffer].data = np.frombuffer(huge.tobytes(), np.uint8)
    half = to_half_precision(part)
    kinds = [operator_name(half, operator) for operator in half.subgraphs[0].operators]
    assert "DEQUANTIZE" not in kinds, name


def test_what_float16_would_change_stays_where_it_must_be_exact(
    tiny_bundle: Callable[[str], Path],
) -> None:
    (_, part), *_ = split_signatures(read_model(tiny_bundle("fp32") / "rec.tflite")).items()
    kernel = next(t for t in part.subgraphs[0].tensors if len(t.shape) == 4 and t.buffer)
    held = np.full(kernel.shape, 0.25, np.float32)
    for values, restored in ((held, 1), (held + np.float32(2**-20), 0)):
        part.buffers[kernel.buffer].data = np.frombuffer(values.tobytes(), np.uint8)
        half = to_half_precision(part, exact_only=True)
        kinds = [operator_name(half, operator) for operator in half.subgraphs[0].operators]
        assert kinds.count("DEQUANTIZE") == restored
