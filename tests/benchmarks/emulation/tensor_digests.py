"""Prints the checksum of every output of every model of a folder; runs on boards, too.

Beside each model ``name.tflite`` lies its input, ``name.npy``.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter  # type: ignore[import-untyped]

digests = {}
for model in sorted(Path(sys.argv[1]).glob("*.tflite")):
    image = np.load(model.with_suffix(".npy"))
    interpreter = Interpreter(model_path=str(model), num_threads=1)
    (entry,) = interpreter.get_input_details()
    interpreter.resize_tensor_input(entry["index"], image.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(entry["index"], image)
    interpreter.invoke()
    digests[model.stem] = [
        hashlib.sha256(interpreter.get_tensor(output["index"]).tobytes()).hexdigest()
        for output in interpreter.get_output_details()
    ]
print(json.dumps(digests))
