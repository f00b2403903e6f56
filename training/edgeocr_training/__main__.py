"""The command ``edgeocr-train``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeocr.errors import EdgeOcrError, OptionError
from edgeocr.version import __version__
from edgeocr_training.ablation_tables import TABLES

if TYPE_CHECKING:
    import torch

    from edgeocr_training.recipe import Recipe

EXIT_ERROR = 2
EXIT_SIGNAL = 128
"""Plus the number of the signal that stopped a run."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status: 0, 2 for a known error, 128 + a signal."""
    arguments = _parser().parse_args(argv)
    try:
        status: int = arguments.run(arguments)
    except EdgeOcrError as error:
        print(f"edgeocr-train: {error}", file=sys.stderr)
        return EXIT_ERROR
    except OSError as error:
        # The log of a run or a file to be written: what was there before is still there.
        where = error.filename or "cannot write"
        print(f"edgeocr-train: {where}: {error.strerror}", file=sys.stderr)
        return EXIT_ERROR
    except ModuleNotFoundError as missing:
        # The commands import torch themselves, so that --help is there at once.
        print(
            f"edgeocr-train: {missing.name} is not installed: pip install 'edgeocr[train]'",
            file=sys.stderr,
        )
        return EXIT_ERROR
    except KeyboardInterrupt:
        print("edgeocr-train: interrupted", file=sys.stderr)
        return 130
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="edgeocr-train",
        description="Trains the models of edgeocr. A recipe decides a run; every run has a folder.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    listed = commands.add_parser("list", help="list the recipes")
    listed.set_defaults(run=_list)

    show = commands.add_parser("show", help="print a recipe as JSON")
    _add_recipe(show)
    show.set_defaults(run=_show)

    run = commands.add_parser(
        "run",
        help="train",
        description="Trains, and writes checkpoints, metrics and curves into a folder. "
        "Ctrl-C or SIGTERM stops after a step, with a checkpoint. "
        "torchrun -m edgeocr_training run ... trains on several processes.",
    )
    _add_recipe(run)
    run.add_argument(
        "--out", metavar="DIR", type=Path, help="folder of the run (default: runs/RECIPE)"
    )
    run.add_argument("--resume", action="store_true", help="go on from the folder's checkpoint")
    run.add_argument(
        "--max-minutes",
        metavar="M",
        type=_positive_minutes,
        help="stop with a checkpoint when this time is over, to go on with --resume; "
        "the learning rate still follows the schedule of the whole run",
    )
    _add_machine(run)
    run.set_defaults(run=_run)

    evaluate = commands.add_parser(
        "eval",
        help="measure a student as its recipe says",
        description="Measures a student as its recipe says. One that was prepared for integers is "
        "computed in integers, bit for bit as on the device.",
    )
    _add_recipe(evaluate)
    _add_checkpoint(evaluate)
    _add_machine(evaluate)
    evaluate.set_defaults(run=_eval)

    export = commands.add_parser("export", help="write a student as ONNX, for edgeocr-convert")
    _add_recipe(export)
    _add_checkpoint(export)
    export.add_argument("--out", metavar="FILE", type=Path, required=True, help="ONNX file")
    export.add_argument(
        "--shape",
        metavar="HxW",
        type=_shape,
        help="of the input in pixels (default: a detector's 640x640, a recogniser's 32x320, or "
        "that of the classifier)",
    )
    export.set_defaults(run=_export)

    strip = commands.add_parser(
        "strip", help="keep a student's weights of a checkpoint, and nothing else"
    )
    strip.add_argument("checkpoint", metavar="CHECKPOINT", type=Path)
    strip.add_argument("--out", metavar="FILE", type=Path, required=True, help="file of weights")
    strip.add_argument("--half", action="store_true", help="as float16, at half the size")
    strip.set_defaults(run=_strip)

    label = commands.add_parser(
        "label",
        help="write labels of pages with the boxes of an ONNX detector",
        description="Writes a label file of pages: the lines of text as a detector in ONNX finds "
        "them. Text of a source with labels that it does not find is marked as don't care.",
    )
    label.add_argument(
        "source", metavar="SOURCE", type=Path, help="folder of images, or label file of pages"
    )
    label.add_argument("--teacher", metavar="ONNX", required=True, help="a DB detector")
    label.add_argument("--out", metavar="FILE", type=Path, required=True, help="label file")
    label.add_argument("--cache", metavar="DIR", help="folder of the detector's maps")
    label.set_defaults(run=_label)

    centers = commands.add_parser(
        "centers",
        help="measure the centers of the center loss, with a recogniser that was trained",
        description="Shows a trained recogniser the lines of its recipe, without augmentation, "
        "and writes the mean feature of every class over the lines that it reads without error.",
    )
    _add_recipe(centers)
    _add_checkpoint(centers)
    centers.add_argument(
        "--out", metavar="FILE", type=Path, required=True, help=".npz file of the centers"
    )
    _add_machine(centers)
    centers.set_defaults(run=_centers)

    _add_sensitivity(commands)
    _add_prune(commands)
    _add_quantize(commands)

    ablation = commands.add_parser(
        "ablation",
        help="measure the strategies of the papers one by one",
        description="Trains a recipe for every row of a table, with the same epochs and seeds, "
        "and writes TABLE.md with the paper's figures beside. Called again it goes on. Tables "
        "that share a folder share the recipes that are in several of them.",
    )
    ablation.add_argument("table", metavar="TABLE", help=f"one of: {', '.join(TABLES)}")
    ablation.add_argument(
        "--epochs", metavar="N", type=_positive, required=True, help="of every run"
    )
    ablation.add_argument(
        "--seeds",
        metavar="N,N",
        type=_numbers,
        default=(0, 1, 2),
        help="each recipe is run with each of them (default: 0,1,2)",
    )
    ablation.add_argument(
        "--recipes", metavar="NAME,NAME", help="these rows alone (default: all of the table)"
    )
    ablation.add_argument(
        "--warm-up-epochs",
        metavar="N",
        type=float,
        default=0.1,
        help="of the rows that warm up (default: 0.1)",
    )
    ablation.add_argument(
        "--teacher",
        metavar="FILE",
        help="weights of det_ic15_teacher, for detectors (default: runs/det_ic15_teacher/best.pt)",
    )
    ablation.add_argument(
        "--out",
        metavar="DIR",
        type=Path,
        default=Path("runs/ablation"),
        help="(default: %(default)s)",
    )
    _add_settings(ablation)
    _add_machine(ablation)
    ablation.set_defaults(run=_ablation)
    return parser


def _add_sensitivity(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    sensitivity = commands.add_parser(
        "sensitivity",
        help="measure what a student loses when a single layer is pruned",
        description="Prunes one layer at a time, and what is tied to it, by 10 %% to 90 %% of its "
        "channels, and measures the student as its recipe says, without training. Writes JSON, "
        "after every point, and a picture of the curves beside it. Called again it goes on.",
    )
    _add_recipe(sensitivity)
    _add_checkpoint(sensitivity)
    sensitivity.add_argument(
        "--out", metavar="FILE", type=Path, required=True, help="JSON file; .png gets the curves"
    )
    _add_criterion(sensitivity)
    sensitivity.add_argument(
        "--ratios",
        metavar="R,R",
        type=_ratios,
        default=tuple(tenth / 10 for tenth in range(1, 10)),
        help="shares of a layer's channels (default: 0.1,0.2 ... 0.9)",
    )
    _add_machine(sensitivity)
    sensitivity.set_defaults(run=_sensitivity)


def _add_prune(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    prune = commands.add_parser(
        "prune",
        help="cut channels out of a student",
        description="Writes a smaller student, to be trained further with "
        "--set task.initial_weights.own=FILE. Widths become multiples of 8. What computes the "
        "image's probability, classes or directions at the end stays.",
    )
    _add_recipe(prune)
    _add_checkpoint(prune)
    how_much = prune.add_mutually_exclusive_group(required=True)
    how_much.add_argument(
        "--flops",
        metavar="SHARE",
        type=float,
        help="of the multiply-accumulates of inference that goes at least, such as 0.4",
    )
    how_much.add_argument(
        "--max-loss",
        metavar="LOSS",
        type=float,
        help="relative loss that pruning a single layer may cost, such as 0.02; needs "
        "--sensitivity",
    )
    prune.add_argument(
        "--sensitivity",
        metavar="FILE",
        help="of `edgeocr-train sensitivity`; layers that are sensitive lose less "
        "(default: all lose the same share)",
    )
    _add_criterion(prune)
    prune.add_argument(
        "--skip",
        metavar="LAYER",
        action="append",
        default=[],
        help="a layer, or a part such as backbone, that stays; repeat it for several",
    )
    prune.add_argument("--out", metavar="FILE", type=Path, required=True, help="file of weights")
    prune.set_defaults(run=_prune)


def _add_quantize(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    quantize = commands.add_parser(
        "quantize",
        help="give a float student 8-bit ranges without training",
        description="Shows a trained student some of its recipe's training data, gives every "
        "activation an 8-bit range by a method, and writes the weights with the ranges: for "
        "`edgeocr-train eval` and export, and for `edgeocr-convert checkpoint`. Training with "
        "PACT, by recipes such as cls_pact, is the alternative.",
    )
    _add_recipe(quantize)
    _add_checkpoint(quantize)
    quantize.add_argument(
        "--method",
        choices=("minmax", "percentile", "kl", "mse"),
        default="mse",
        help="every value; all but one in 10,000 at each end; the least Kullback-Leibler "
        "divergence; the least squared error (default: %(default)s)",
    )
    quantize.add_argument(
        "--batches",
        metavar="N",
        type=_positive,
        default=8,
        help="of training data that the student is shown (default: %(default)s)",
    )
    quantize.add_argument(
        "--equalise",
        action="store_true",
        help="bring the channels of each layer to like ranges before, where the next layer can "
        "take that back: a start for training in integers (default: leave the weights alone)",
    )
    quantize.add_argument(
        "--symmetric",
        action="store_true",
        help="ranges around 0, as PP-OCR has them (default: each end for itself)",
    )
    quantize.add_argument("--out", metavar="FILE", type=Path, required=True, help="file of weights")
    _add_machine(quantize)
    quantize.set_defaults(run=_quantize)


def _add_criterion(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--criterion",
        choices=("fpgm", "l1"),
        default="fpgm",
        help="by which channels go: those that are like others (fpgm), or small (l1) "
        "(default: %(default)s)",
    )


def _add_recipe(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "recipe",
        metavar="RECIPE",
        help="as `edgeocr-train list` names it, or FILE.py:NAME for one of your own",
    )
    _add_settings(parser)


def _add_settings(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data-root",
        metavar="DIR",
        default="data",
        help="folder of the data sets that the recipe names (default: data)",
    )
    parser.add_argument(
        "--set",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        dest="settings",
        help="change a value, such as optimizer.learning_rate=0.0005; repeat it for several",
    )


def _add_checkpoint(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--checkpoint",
        metavar="FILE",
        type=Path,
        required=True,
        help="best.pt or latest.pt of a run, or a file from `edgeocr-train strip`, prune or "
        "quantize",
    )


def _add_machine(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--device", default="auto", help="cpu, cuda, cuda:1 or auto (default: cuda if there is one)"
    )
    parser.add_argument(
        "--threads", metavar="N", type=_positive, help="of torch on the CPU (default: torch's own)"
    )


def _list(_: argparse.Namespace) -> int:
    from edgeocr_training.recipes import recipe_functions

    recipes = [function() for _, function in sorted(recipe_functions().items())]
    width = max((len(recipe.name) for recipe in recipes), default=0)
    for recipe in recipes:
        print(f"{recipe.name:{width}}  {recipe.description}")
    return 0


def _show(arguments: argparse.Namespace) -> int:
    from edgeocr_training.recipe_json import recipe_data

    _print_json(recipe_data(_recipe(arguments)))
    return 0


def _run(arguments: argparse.Namespace) -> int:
    from edgeocr_training.distributed import present_world
    from edgeocr_training.loop import train

    recipe = _recipe(arguments)
    result = train(
        recipe,
        arguments.out or Path("runs", recipe.name),
        device=_device(arguments),
        resume=arguments.resume,
        max_minutes=arguments.max_minutes,
    )
    if present_world().is_first:
        _print_json(
            {
                "finished": result.finished,
                "step": result.step,
                "steps": result.steps,
                "metrics": dict(result.metrics),
                "best_metrics": dict(result.best_metrics),
            }
        )
    return 0 if result.stopped_by is None else EXIT_SIGNAL + result.stopped_by


def _eval(arguments: argparse.Namespace) -> int:
    from edgeocr_training.compression.quantization.integer_network import integer_student
    from edgeocr_training.compression.quantization.preparation import is_prepared
    from edgeocr_training.errors import RecipeError
    from edgeocr_training.trained_student import trained_student

    recipe = _recipe(arguments)
    if recipe.evaluation is None:
        raise RecipeError(f"{recipe.name} says nothing of an evaluation")
    device = _device(arguments)
    student = trained_student(recipe, arguments.checkpoint).to(device).eval()
    if is_prepared(student):
        student = integer_student(student)
    figures = recipe.evaluation.build().evaluate(student, device=device)
    _print_json({name: float(value) for name, value in figures.items()})
    return 0


def _export(arguments: argparse.Namespace) -> int:
    from edgeocr_training.compression.quantization.export import export_prepared
    from edgeocr_training.compression.quantization.preparation import is_prepared
    from edgeocr_training.data.charset import read_charset
    from edgeocr_training.data.line_dataset import LinesConfig
    from edgeocr_training.models.onnx_export import export_onnx
    from edgeocr_training.trained_student import trained_student

    recipe = _recipe(arguments)
    student = trained_student(recipe, arguments.checkpoint).eval()
    if not is_prepared(student):
        characters = None
        if isinstance(recipe.data, LinesConfig):
            characters = read_charset(recipe.data.charset)
        export_onnx(student, arguments.out, shape=arguments.shape, characters=characters)
        return 0
    if arguments.shape is not None:
        raise OptionError("--shape: a student for integers is exported for images of every size")
    export_prepared(student, arguments.out)
    return 0


def _quantize(arguments: argparse.Namespace) -> int:
    from edgeocr_training.compression.quantization.activation_quantizer import (
        QuantizationConfig,
        quantizers,
    )
    from edgeocr_training.compression.quantization.calibration import (
        CalibrationConfig,
        quantize_checkpoint,
    )

    student = quantize_checkpoint(
        _recipe(arguments),
        arguments.checkpoint,
        arguments.out,
        config=CalibrationConfig(
            method=arguments.method,
            batches=arguments.batches,
            equalise=arguments.equalise,
            quantization=QuantizationConfig(
                form="symmetric" if arguments.symmetric else "asymmetric"
            ),
        ),
        device=_device(arguments),
    )
    _print_json({"method": arguments.method, "ranges": sum(1 for _ in quantizers(student))})
    return 0


def _strip(arguments: argparse.Namespace) -> int:
    from edgeocr_training.checkpoint import halved, load_weights, save_weights

    weights = load_weights(arguments.checkpoint)
    save_weights(halved(weights) if arguments.half else weights, arguments.out)
    _print_json({"recipe": weights.recipe, "step": weights.step, "metrics": dict(weights.metrics)})
    return 0


def _label(arguments: argparse.Namespace) -> int:
    from edgeocr_training.data.pseudo_labels import write_pseudo_labels
    from edgeocr_training.data.teacher_maps import TeacherMapsConfig

    teacher = TeacherMapsConfig(model=arguments.teacher, cache=arguments.cache).build()
    written = write_pseudo_labels(arguments.source, arguments.out, teacher=teacher)
    _print_json(asdict(written))
    return 0


def _centers(arguments: argparse.Namespace) -> int:
    from edgeocr_training.evaluation.centers import measure_centers
    from edgeocr_training.losses.center import save_centers
    from edgeocr_training.trained_student import trained_student

    recipe = _recipe(arguments)
    device = _device(arguments)
    student = trained_student(recipe, arguments.checkpoint).to(device)
    centers = measure_centers(student, recipe, device=device)
    save_centers(centers, arguments.out)
    _print_json(
        {
            "classes": len(centers.counts_K),
            "known": int((centers.counts_K > 0).sum()),
            "steps": int(centers.counts_K.sum()),
        }
    )
    return 0


def _sensitivity(arguments: argparse.Namespace) -> int:
    from edgeocr_training.compression.pruning.analysis import measure_sensitivity
    from edgeocr_training.trained_student import trained_student

    recipe = _recipe(arguments)
    device = _device(arguments)
    sensitivity = measure_sensitivity(
        trained_student(recipe, arguments.checkpoint),
        recipe,
        arguments.out,
        device=device,
        criterion=arguments.criterion,
        ratios=arguments.ratios,
    )
    _print_json(
        {
            sensitivity.metric: sensitivity.unpruned,
            "layers": len(sensitivity.curves),
            "points": sum(len(curve.figures) for curve in sensitivity.curves.values()),
        }
    )
    return 0


def _prune(arguments: argparse.Namespace) -> int:
    from edgeocr_training.compression.pruning.pruned_student import PruneConfig, prune_checkpoint

    config = PruneConfig(
        flops=arguments.flops,
        max_loss=arguments.max_loss,
        sensitivity=arguments.sensitivity,
        criterion=arguments.criterion,
        skip=tuple(arguments.skip),
    )
    pruned = prune_checkpoint(
        _recipe(arguments), arguments.checkpoint, arguments.out, config=config
    )
    _print_json(
        {
            **asdict(pruned),
            "layers": {
                ", ".join(layers.makers): [layers.channels, layers.kept] for layers in pruned.layers
            },
        }
    )
    return 0


def _ablation(arguments: argparse.Namespace) -> int:
    from edgeocr_training.ablation import AblationConfig, run_ablation, table_file

    config = AblationConfig(
        table=arguments.table,
        epochs=arguments.epochs,
        seeds=arguments.seeds,
        recipes=tuple(arguments.recipes.split(",")) if arguments.recipes else None,
        warm_up_epochs=arguments.warm_up_epochs,
        teacher=arguments.teacher,
        settings=tuple(arguments.settings),
        data_root=arguments.data_root,
    )
    stopped_by = run_ablation(config, arguments.out, device=_device(arguments))
    if stopped_by is not None:
        return EXIT_SIGNAL + stopped_by
    print((arguments.out / table_file(arguments.table)).read_text("utf-8"), end="")
    return 0


def _recipe(arguments: argparse.Namespace) -> Recipe:
    from edgeocr_training.recipes import recipe_named
    from edgeocr_training.settings import with_settings

    recipe = recipe_named(arguments.recipe, data_root=arguments.data_root)
    return with_settings(recipe, arguments.settings)


def _device(arguments: argparse.Namespace) -> torch.device:
    import torch

    from edgeocr_training.devices import device_named

    if arguments.threads is not None:
        torch.set_num_threads(arguments.threads)
    return device_named(arguments.device)


def _print_json(data: Any) -> None:
    print(json.dumps(data, indent=2, ensure_ascii=False))


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not positive")
    return number


def _numbers(text: str) -> tuple[int, ...]:
    numbers = tuple(int(number) for number in text.split(","))
    if min(numbers) < 0:
        raise argparse.ArgumentTypeError(f"{min(numbers)} is negative")
    return numbers


def _ratios(text: str) -> tuple[float, ...]:
    return tuple(float(ratio) for ratio in text.split(","))


def _positive_minutes(text: str) -> float:
    number = float(text)
    if not number > 0:
        raise argparse.ArgumentTypeError(f"{text} is not positive")
    return number


def _shape(text: str) -> tuple[int, int]:
    height, times, width = text.partition("x")
    if not (times and height.isdecimal() and width.isdecimal() and int(height) and int(width)):
        raise argparse.ArgumentTypeError(f"{text!r} is not HEIGHTxWIDTH")
    return int(height), int(width)


if __name__ == "__main__":
    sys.exit(main())
