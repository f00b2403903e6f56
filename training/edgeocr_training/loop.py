"""Runs a recipe: updates, evaluations and checkpoints, from the first step or from a checkpoint.

Everything random in a step follows from the recipe's seed, the step and the rank. So a run that
goes on from a checkpoint has, step by step, the losses of one that was never interrupted, as far
as the device computes the same thing twice (a CPU does; CUDA's fastest kernels may not).
"""

from __future__ import annotations

import itertools
import json
import math
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import numpy as np
import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

from edgeocr.errors import OptionError
from edgeocr.whole_files import write_whole
from edgeocr_training.checkpoint import (
    Checkpoint,
    Weights,
    load_checkpoint,
    put_into,
    save_checkpoint,
    save_weights,
)
from edgeocr_training.curves import draw_curves
from edgeocr_training.data.loader import TrainingLoader
from edgeocr_training.data.sample import Batch
from edgeocr_training.distributed import World, joined_world
from edgeocr_training.ema import AveragedWeights
from edgeocr_training.errors import CheckpointError, DivergenceError
from edgeocr_training.metric_log import MetricLog, Row, rows_of, write_table
from edgeocr_training.models.narrowing import widths_beside
from edgeocr_training.optimization import build_optimizer
from edgeocr_training.recipe import Recipe
from edgeocr_training.recipe_json import differences, fingerprint, recipe_data
from edgeocr_training.schedule import learning_rate

LATEST = "latest.pt"
BEST = "best.pt"
RECIPE = "recipe.json"

_SECONDS_BETWEEN_PICTURES = 300.0
"""A long log takes a second or two to read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """Where a run stands when :func:`train` returns."""

    step: int
    """Updates that were made."""
    steps: int
    """Updates of the whole run."""
    metrics: Mapping[str, float]
    """Of the last evaluation; empty without one."""
    best_metrics: Mapping[str, float]
    """Of the weights in ``best.pt``."""
    stopped_by: signal.Signals | None = None
    """The signal that ended the run early."""

    @property
    def finished(self) -> bool:
        """Whether all updates were made; else the run can be resumed."""
        return self.step == self.steps


def train(
    recipe: Recipe,
    folder: Path,
    *,
    device: torch.device,
    resume: bool = False,
    max_minutes: float | None = None,
) -> RunResult:
    """Runs a recipe in a folder.

    The folder gets ``recipe.json``, ``latest.pt`` (to go on from), ``best.pt`` (the student's best
    weights), ``metrics.jsonl``, ``metrics.csv``, ``curves.png`` and ``tensorboard/``. SIGINT and
    SIGTERM, and the end of ``max_minutes``, stop the run after a step, with a checkpoint; a second
    signal stops it at once. Under torchrun every process calls this, and the first one writes.

    Raises:
        CheckpointError: the folder has a run already, or none to resume, or one of another recipe;
            or a checkpoint cannot be written.
        DataError: the data is missing or broken.
        DivergenceError: the loss is not finite; the last checkpoint is from before.
        RecipeError: the recipe has a value out of its range.
        OptionError: there is no such CUDA device.
        OSError: the log cannot be written.
    """
    until = None if max_minutes is None else time.monotonic() + 60 * max_minutes
    with ExitStack() as stack:
        world = stack.enter_context(joined_world(device))
        if device.type == "cuda":
            device = _own_device(device, world)
            torch.set_float32_matmul_precision("high")
            torch.backends.cudnn.benchmark = True  # Crops have one size, so a search pays.
        start = _checkpoint_to_resume(recipe, folder, world) if resume else None
        if start is None and (folder / LATEST).exists():
            raise CheckpointError(
                f"{folder} has a run already: go on with --resume, or choose another folder"
            )
        run = _Run(recipe, folder, device=device, world=world, start=start)
        stack.callback(run.close)
        # Until here there is nothing to lose, and building the data may take minutes.
        stop = stack.enter_context(_stop_signals())
        return run.to_the_end(stop, until)


def _own_device(device: torch.device, world: World) -> torch.device:
    """A CUDA device for each process."""
    index = world.local_rank if world.size > 1 else device.index or 0
    if index >= torch.cuda.device_count():
        raise OptionError(
            f"Process {index + 1} on this machine has no CUDA device: there are "
            f"{torch.cuda.device_count()}"
        )
    torch.cuda.set_device(index)
    return torch.device("cuda", index)


def _checkpoint_to_resume(recipe: Recipe, folder: Path, world: World) -> Checkpoint:
    checkpoint = load_checkpoint(folder / LATEST)
    data = recipe_data(recipe)
    if checkpoint.fingerprint != fingerprint(data):
        raise CheckpointError(
            f"{folder / LATEST} is of another recipe: "
            + "; ".join(differences(checkpoint.recipe, data)[:5])
        )
    if checkpoint.world_size != world.size:
        raise CheckpointError(
            f"{folder / LATEST} is of a run on {checkpoint.world_size} processes, "
            f"not {world.size}: its steps have another number of samples"
        )
    return checkpoint


class _Stop:
    """Whether the run was asked to stop."""

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None


@contextmanager
def _stop_signals() -> Iterator[_Stop]:
    """Turns the first SIGINT or SIGTERM into a request; the second one does what it always did."""
    stop = _Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop  # Python hands signals to the main thread alone.
        return

    def note(number: int, _: FrameType | None) -> None:
        stop.signal = signal.Signals(number)
        restore()
        _say(f"{stop.signal.name}: stopping after this step")

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    try:
        yield stop
    finally:
        restore()


def _say(text: str) -> None:
    tqdm.write(text, file=sys.stderr)


class _Run:
    """The state of a run between two steps."""

    def __init__(
        self,
        recipe: Recipe,
        folder: Path,
        *,
        device: torch.device,
        world: World,
        start: Checkpoint | None,
    ) -> None:
        self._recipe = recipe
        self._folder = folder
        self._device = device
        self._world = world
        self._loader = TrainingLoader(
            recipe.data.build(),
            batch_size=recipe.batch_size,
            seed=recipe.seed,
            workers=recipe.workers,
            rank=world.rank,
            world_size=world.size,
            tolerated_broken=recipe.tolerated_broken_samples,
            pin_memory=device.type == "cuda",
        )
        self._updates_per_epoch = -(-len(self._loader) // recipe.accumulate)
        self._evaluator = (
            recipe.evaluation.build() if recipe.evaluation and world.is_first else None
        )
        as_built = recipe.task.build_student()
        torch.manual_seed(recipe.seed)
        self._task = recipe.task.build()
        self._widths = widths_beside(self._task.student, as_built)
        if start is not None:
            put_into(self._task, start.task, source=str(folder / LATEST))
        # Convolutions on channels-last tensors are the faster ones, with bf16 above all.
        self._task.to(device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
        self._average: AveragedWeights | None = None
        if recipe.ema_decay is not None:
            self._average = AveragedWeights(self._task.student, recipe.ema_decay)
            if start is not None:
                put_into(self._average.network, start.student, source=str(folder / LATEST))
        self._optimizer = build_optimizer(recipe.optimizer, self._task)
        if start is not None:
            self._optimizer.load_state_dict(dict(start.optimizer))
        self._parallel: nn.Module = self._task
        if world.size > 1:
            # A task may leave a branch without a gradient, such as thresholds nobody compares.
            self._parallel = DistributedDataParallel(self._task, find_unused_parameters=True)

        self._step = start.step if start else 0
        self._evaluated_step = start.evaluated_step if start else 0
        self._metrics = dict(start.metrics) if start else {}
        self._best_metrics = dict(start.best_metrics) if start else {}
        self._named_broken = 0
        self._log: MetricLog | None = None
        if world.is_first:
            folder.mkdir(parents=True, exist_ok=True)
            for leftover in folder.glob(".*.pt.*"):
                leftover.unlink()  # Of a run that was killed while it wrote.
            write_whole(folder / RECIPE, json.dumps(recipe_data(recipe), indent=2).encode())
            self._log = MetricLog(folder, keep=self._is_from_before)

    @property
    def _steps(self) -> int:
        return self._recipe.epochs * self._updates_per_epoch

    def to_the_end(self, stop: _Stop, until: float | None) -> RunResult:
        """Updates and evaluates until the run is done, or has to stop."""
        self._save()  # A disk that is full or read-only is better noticed now.
        saved = drawn = time.monotonic()
        batches = self._batches()
        with tqdm(
            total=self._steps,
            initial=self._step,
            desc=self._recipe.name,
            unit="step",
            disable=not (self._world.is_first and sys.stderr.isatty()),
        ) as bar:
            while True:
                if self._evaluation_is_due():
                    self._evaluate()
                    saved = time.monotonic()
                stopping = stop.signal is not None or (
                    until is not None and time.monotonic() >= until
                )
                if self._step == self._steps or self._world.any(stopping, self._device):
                    break
                row = self._update(batches)
                bar.update()
                bar.set_postfix_str(f"loss {row['loss']:.4g}")
                if time.monotonic() - saved >= 60 * self._recipe.checkpoint_minutes:
                    self._save()
                    saved = time.monotonic()
                if time.monotonic() - drawn >= _SECONDS_BETWEEN_PICTURES:
                    self._draw()
                    drawn = time.monotonic()
        self._save()
        self._draw()
        return RunResult(
            step=self._step,
            steps=self._steps,
            metrics=self._metrics,
            best_metrics=self._best_metrics,
            stopped_by=stop.signal if self._step < self._steps else None,
        )

    def close(self) -> None:
        """Stops the workers and closes the log."""
        self._loader.close()
        if self._log is not None:
            self._log.close()

    def _batches(self) -> Iterator[Batch]:
        """All batches from the present step on."""
        epoch, update = divmod(self._step, self._updates_per_epoch)
        first = update * self._recipe.accumulate
        for number in itertools.count(epoch):
            yield from self._loader.epoch(number, first)
            first = 0

    def _update(self, batches: Iterator[Batch]) -> Row:
        """Makes one update and logs it."""
        started = time.perf_counter()
        epoch, update = divmod(self._step, self._updates_per_epoch)
        # The last update of an epoch may have fewer batches.
        count = min(self._recipe.accumulate, len(self._loader) - update * self._recipe.accumulate)
        seed = np.random.SeedSequence((self._recipe.seed, self._step, self._world.rank))
        torch.manual_seed(int(seed.generate_state(1)[0]))
        names: list[str] = []
        waited = 0.0
        losses: list[dict[str, torch.Tensor]] = []
        self._optimizer.zero_grad()
        for number in range(count):
            asked = time.perf_counter()
            batch = next(batches)
            waited += time.perf_counter() - asked
            names += batch.names
            last = number == count - 1
            losses.append(self._backward(batch.to(self._device), share=1 / count, exchange=last))
        norm = nn.utils.get_total_norm(
            [p.grad for p in self._task.parameters() if p.grad is not None]
        )
        values = self._numbers(losses, norm)
        self._refuse_if_not_finite(values, names)

        if self._recipe.optimizer.clip_norm is not None:
            nn.utils.clip_grads_with_norm_(
                self._task.parameters(), self._recipe.optimizer.clip_norm, norm
            )
        rate = learning_rate(
            self._recipe.schedule,
            self._recipe.optimizer.learning_rate,
            step=self._step,
            steps_per_epoch=self._updates_per_epoch,
            epochs=self._recipe.epochs,
        )
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        self._optimizer.step()
        if self._average is not None:
            self._average.update(self._task.student, self._step)
        self._step += 1

        row = {
            **values,
            "learning_rate": rate,
            "images": len(names) * self._world.size,
            "seconds": round(time.perf_counter() - started, 6),
            "waited_seconds": round(waited, 6),
        }
        self._name_broken_samples(epoch)
        if self._log is not None:
            self._log.add("update", step=self._step, epoch=epoch + 1, values=row)
        return row

    def _backward(self, batch: Batch, *, share: float, exchange: bool) -> dict[str, torch.Tensor]:
        """Adds the gradients of a batch; the losses, each for itself."""
        later: AbstractContextManager[None] = nullcontext()
        if isinstance(self._parallel, DistributedDataParallel) and not exchange:
            later = self._parallel.no_sync()
        with later:
            with torch.autocast("cuda", torch.bfloat16, enabled=self._device.type == "cuda"):
                losses: dict[str, torch.Tensor] = self._parallel(batch.tensors)
            (losses["loss"] * share).backward()  # type: ignore[no-untyped-call]
        return {name: value.detach() for name, value in losses.items()}

    def _numbers(
        self, losses: Sequence[Mapping[str, torch.Tensor]], norm: torch.Tensor
    ) -> dict[str, float]:
        """Means of the losses over batches and processes, and the gradient's norm."""
        means = [torch.stack([part[name].float() for part in losses]).mean() for name in losses[0]]
        numbers = self._world.mean(torch.stack([*means, norm.float()])).tolist()
        return dict(zip([*losses[0], "gradient_norm"], numbers, strict=True))

    def _refuse_if_not_finite(self, values: Mapping[str, float], names: Sequence[str]) -> None:
        for name in ("loss", "gradient_norm"):
            if not math.isfinite(values[name]):
                raise DivergenceError(
                    f"{name} is {values[name]} in step {self._step + 1} of {self._recipe.name}, "
                    f"with the samples {', '.join(names)}. The update was not made; the last "
                    f"checkpoint is {self._folder / LATEST}."
                )

    def _name_broken_samples(self, epoch: int) -> None:
        """Reports the samples that were skipped for the first time."""
        new = list(self._loader.broken.values())[self._named_broken :]
        self._named_broken += len(new)
        for fault in new:
            _say(f"skipped: {fault}")
        if new and self._log is not None:
            self._log.add("broken", step=self._step, epoch=epoch + 1, values={"samples": new})

    def _evaluation_is_due(self) -> bool:
        period = self._recipe.evaluate_every_epochs * self._updates_per_epoch
        return (
            self._recipe.evaluation is not None
            and self._step > self._evaluated_step
            and (self._step % period == 0 or self._step == self._steps)
        )

    def _evaluate(self) -> None:
        """Measures the student and keeps it if it is the best yet."""
        if self._evaluator is None or self._log is None:
            self._evaluated_step = self._step
            return
        self._save()  # An evaluation takes long; whatever ends it loses no step.
        student = self._task.as_deployed(self._student)
        measured = self._evaluator.evaluate(student, device=self._device)
        # A NumPy number is a float to a type checker, but no plain data to a safe loader.
        metrics = {key: float(value) for key, value in measured.items()}
        self._evaluated_step = self._step
        name = self._evaluator.metric
        best = not self._best_metrics or metrics[name] > self._best_metrics[name]
        self._metrics = metrics
        epoch = -(-self._step // self._updates_per_epoch)
        self._log.add("evaluation", step=self._step, epoch=epoch, values=metrics)
        if best:
            self._best_metrics = metrics
            weights = Weights(
                recipe=self._recipe.name,
                step=self._step,
                metrics=metrics,
                student=self._student.state_dict(),
                widths=self._widths,
            )
            save_weights(weights, self._folder / BEST)
        self._save()
        figures = ", ".join(f"{key} {value:.4g}" for key, value in metrics.items())
        _say(f"epoch {epoch}, step {self._step}: {figures}{' (best)' if best else ''}")

    @property
    def _student(self) -> nn.Module:
        return self._task.student if self._average is None else self._average.network

    def _save(self) -> None:
        if not self._world.is_first:
            return
        data = recipe_data(self._recipe)
        checkpoint = Checkpoint(
            recipe=data,
            fingerprint=fingerprint(data),
            world_size=self._world.size,
            step=self._step,
            evaluated_step=self._evaluated_step,
            metrics=self._metrics,
            best_metrics=self._best_metrics,
            task=self._task.state_dict(),
            optimizer=self._optimizer.state_dict(),
            student=self._student.state_dict(),
            widths=self._widths,
        )
        save_checkpoint(checkpoint, self._folder / LATEST)

    def _draw(self) -> None:
        """Makes the table and the picture anew."""
        if self._log is not None:
            write_table(rows_of(self._log.path), self._folder / "metrics.csv")
            draw_curves(
                rows_of(self._log.path), self._folder / "curves.png", title=self._recipe.name
            )

    def _is_from_before(self, row: Row) -> bool:
        """Whether a row of the log was written before the checkpoint that the run goes on from."""
        done = self._evaluated_step if row["kind"] == "evaluation" else self._step
        return bool(row["step"] <= done)
