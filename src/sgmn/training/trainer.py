"""The training loop, with checkpoints from which a run continues as if it had not stopped.

The folder of a run:
    checkpoint/        the model (its averaged weights if `ema_decay` > 0), loadable by its path
    state-N.safetensors  weights, optimizer and orders after step N; `state.json` names the file
    log.jsonl          one line every `log_every_steps` steps
    tensorboard/       the same for TensorBoard
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from threading import Event

import torch
from torch import nn

from sgmn.errors import SettingsError
from sgmn.model import checkpoint
from sgmn.model.bundle import ModelBundle
from sgmn.model.network import SGMN, select_device
from sgmn.training import distributed
from sgmn.training.cached_negatives import CachedNegatives
from sgmn.training.config import LossConfig, TrainConfig
from sgmn.training.data.batch_loader import load_batches
from sgmn.training.data.batch_mining import HardBatchOrder, find_duplicates
from sgmn.training.data.batches import Batch, Batches, BatchSpec
from sgmn.training.data.boxes import PatchGrids
from sgmn.training.data.grounding_labels import measure_patch_grids
from sgmn.training.losses.objective import BatchLoss, Objective
from sgmn.training.optimizer import build_optimizer, warmup_cosine
from sgmn.training.run_log import RunLog
from sgmn.training.run_state import load_state, save_state
from sgmn.training.training_step import SeparateBatches
from sgmn.training.weight_average import WeightAverage

_LOG = logging.getLogger("sgmn.training")


@dataclass(frozen=True)
class StepReport:
    """The result of a training step.

    Attributes:
        step: number of the step, from 1.
        steps: steps of the run.
        loss: mean loss of the step's batches, or with cached negatives, of all together.
        accuracy: fraction of clips whose best product in the batch is theirs (0..1).
        lr: learning rate of the first parameter group.
        samples_per_s: clips per second.
        losses: mean weighted losses by name.
        skipped: clips without a negative.
    """

    step: int
    steps: int
    loss: float
    accuracy: float
    lr: float
    samples_per_s: float
    losses: Mapping[str, float] = field(default_factory=dict)
    skipped: int = 0


class Trainer:
    """Trains a model on one device, or as one of several processes.

    Args:
        model: the model to train; its network is changed in place.
        batches: the batches of the run.
        config: optimization settings.
        folder: folder of the run.
        loss: weights of the losses; the defaults if None.
        stop_event: ends the run after the current step when it is set, see `stop`.
    """

    def __init__(
        self,
        model: ModelBundle,
        batches: Batches,
        config: TrainConfig,
        folder: Path,
        loss: LossConfig | None = None,
        stop_event: Event | None = None,
    ) -> None:
        self.model, self.batches, self.config, self.folder = model, batches, config, folder
        loss = loss or LossConfig()
        self.device = select_device(config.device)
        if config.threads:
            torch.set_num_threads(config.threads)
        self.network = model.network.to(self.device)
        batches.patch_grids = self._patch_grids(loss)
        self.duplicates = find_duplicates(self.network, batches, loss)
        is_sold = batches.examples.labeled_mask()
        dim, classes = self.network.towers.dim, self.duplicates.classes
        self._set_objective(Objective(dim, loss, classes, is_sold))
        self.order = HardBatchOrder(self.network, batches, self.duplicates) if loss.mining else None
        self.signature = f"{batches.signature()} {loss}"
        self.optimizer = build_optimizer(self.network, config)
        decay = config.ema_decay
        self.average = WeightAverage(self.network, decay) if decay else None
        self.step = 0
        self.stop_event = stop_event or Event()
        self.read_errors: set[str] = set()  # one line for each unreadable file

    def _set_objective(self, objective: Objective) -> None:
        self.objective = objective.to(self.device)
        together = self.config.cached_negatives and self.config.accumulation_steps > 1
        passes = CachedNegatives if together else SeparateBatches
        self._passes = passes(self.network, self.objective)

    def _patch_grids(self, loss: LossConfig) -> PatchGrids | None:
        """Return the patches on each canvas if guidance is trained on labels."""
        if loss.grounding == 0 or not self.network.parts.guidance:
            return None
        return measure_patch_grids(self.network)

    def resume(self) -> bool:
        """Restore the last state in the folder; returns False if there is none."""
        self.step, orders = load_state(self.folder, self._modules(), self.optimizer, self.signature)
        if self.order is not None:
            self.order.orders = orders
        return self.step > 0

    def _modules(self) -> dict[str, nn.Module]:
        """Return the modules that a run changes."""
        modules: dict[str, nn.Module] = {"network": self.network, "objective": self.objective}
        return modules if self.average is None else modules | {"average": self.average}

    def run(self, report: Callable[[StepReport], None] = lambda step: None) -> bool:
        """Train until the last step or until `stop` is called, then write a checkpoint.

        report: called after every step, in the first process only.

        Returns whether the last step was reached. May be called from any thread.
        """
        self.network.train()
        first = distributed.is_first_process()
        with RunLog(self.folder, self.step) if first else nullcontext() as log:
            saved_s = time.monotonic()
            for step in self._steps():
                if log is not None:
                    report(step)
                    if step.step % self.config.log_every_steps == 0 or step.step == step.steps:
                        log.write(step)
                    if time.monotonic() - saved_s > 60 * self.config.checkpoint_minutes:
                        self.save()
                        saved_s = time.monotonic()
                if distributed.any_process(self.stop_event.is_set(), self.device):
                    break
        if first:
            self.save()
        return self.step >= self.config.steps

    def stop(self) -> None:
        """Request the run to end after the current step; may be called from any thread."""
        self.stop_event.set()

    @property
    def trained_network(self) -> SGMN:
        """The network to use: with averaged weights if `ema_decay` > 0."""
        return self.network if self.average is None else self.average.network

    def save(self) -> None:
        """Write the state to resume from and the model."""
        orders = self.order.orders if self.order is not None else {}
        save_state(self.folder, self.step, self._modules(), self.optimizer, orders, self.signature)
        trained = ModelBundle(self.trained_network, self.model.tokenizer, self.model.name)
        checkpoint.save(trained, self.folder / "checkpoint")

    def _steps(self) -> Iterator[StepReport]:
        loader = load_batches(self.batches, self.remaining_batches(), self.config.workers)
        while self.step < self.config.steps:
            start_s = time.monotonic()
            batches = [next(loader) for _ in range(self.config.accumulation_steps)]
            results = self.train_step(batches)
            self.step += 1
            yield StepReport(
                self.step,
                self.config.steps,
                fmean(float(result.loss) for result in results),
                fmean(result.accuracy for result in results),
                self.optimizer.param_groups[0]["lr"],
                self.config.batch_size * len(batches) / (time.monotonic() - start_s),
                {name: fmean(r.losses[name] for r in results) for name in results[0].losses},
                sum(result.skipped for result in results),
            )

    def remaining_batches(self) -> Iterator[BatchSpec]:
        """Yield the batches still to come, reduced to this process's share."""
        for index in range(self.step * self.config.accumulation_steps, len(self.batches)):
            positions = self.batches.positions(index, self.order or self.batches.order)
            neighbors = self.order.neighbors_of(positions) if self.order is not None else ()
            share = distributed.local_share
            yield BatchSpec(index, share(positions), share(neighbors))

    def train_step(self, batches: list[Batch]) -> list[BatchLoss]:
        """Make one optimizer step; returns the loss of each batch, or of all of them together."""
        torch.manual_seed(self.config.seed * 1_000_003 + self.step)  # same dropout after a resume
        factor = warmup_cosine(self.step, self.config.steps, self.config.warmup_fraction)
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak_lr"] * factor
        self._report_read_errors(batches)
        results = self._passes.backward(batches)
        nn.utils.clip_grad_norm_(self.network.parameters(), self.config.max_grad_norm)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        if self.average is not None:
            self.average.update_parameters(self.network)
        return results

    def _report_read_errors(self, batches: list[Batch]) -> None:
        for line in (line for batch in batches for line in batch.read_errors):
            self.read_errors.add(line)
            _LOG.warning("Left out of a batch: %s", line)


def require_new_run_folder(folder: Path) -> None:
    """Create the folder of a run; raise SettingsError if it already holds a run."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(
            f"cannot be created ({error.strerror})", folder, "choose another folder"
        ) from error
    if (folder / "state.json").exists():
        raise SettingsError(
            "already contains a run", folder, "add --resume, or choose another folder"
        )
