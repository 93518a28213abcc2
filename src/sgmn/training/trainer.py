"""The loop: batches to losses to steps, with checkpoints from which a run goes on as it was.

A run's folder:
    checkpoint/        the model (the averaged weights where `ema` > 0), loadable by its path
    state-N.safetensors  weights, optimizer and orders after step N, to go on from; state.json
                         names it
    log.jsonl          one line every `log_every` steps
    tensorboard/       the same for TensorBoard
"""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from types import FrameType
from typing import Any, cast

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader

from sgmn.background import follow_parent
from sgmn.errors import SettingsError
from sgmn.model import checkpoint
from sgmn.model.bundle import Model
from sgmn.model.network import SGMN, chosen_device
from sgmn.training import distributed
from sgmn.training.config import LossConfig, TrainConfig
from sgmn.training.data.batches import Batch, Batches, Draw
from sgmn.training.data.boxes import Grids
from sgmn.training.data.mined_order import HardOrders, duplicates
from sgmn.training.losses.objective import Looked, Objective, Outcome
from sgmn.training.run_log import Journal
from sgmn.training.run_state import restore, store
from sgmn.training.schedule import warmup_cosine

_LOG = logging.getLogger("sgmn.training")


@dataclass(frozen=True)
class Progress:
    """What a step brought: losses are means over its batches, `right` the share of clips whose
    best product in the batch is theirs, `skipped` how many clips had no negative; samples are
    clips."""

    step: int
    steps: int
    loss: float
    right: float
    lr: float
    samples_per_s: float
    parts: Mapping[str, float] = field(default_factory=dict)
    skipped: int = 0


class Trainer:
    """One run on one device, or this process's share of a run on several."""

    def __init__(
        self,
        model: Model,
        batches: Batches,
        config: TrainConfig,
        folder: Path,
        loss: LossConfig | None = None,
    ) -> None:
        self.model, self.batches, self.config, self.folder = model, batches, config, folder
        loss = loss or LossConfig()
        self.device = chosen_device(config.device)
        if config.threads:
            torch.set_num_threads(config.threads)
        self.network = model.network.to(self.device)
        batches.grids = self._grids(loss)
        self.duplicates = duplicates(self.network, batches, loss)
        sold = batches.examples.ever_sold()
        self.objective = Objective(self.network.towers.dim, loss, self.duplicates.classes, sold)
        self.objective.to(self.device)
        self.order = HardOrders(self.network, batches, self.duplicates) if loss.mining else None
        self.signature = f"{batches.signature()} {loss}"
        self.optimizer = optimizer(self.network, config)
        self.average = _average(self.network, config.ema)
        self.step = 0
        self.stopping = False
        self.damaged: set[str] = set()  # what could not be read, a line each

    def _grids(self, loss: LossConfig) -> Grids | None:
        """The patches on each canvas, where guidance is to learn from boxes."""
        if not self.batches.from_files:
            loss.require_uncached("[loss]")
        if loss.box == 0 or not self.network.parts.guidance:
            return None
        network = self.network.eval()  # looking at a canvas must leave no trace in its norms
        return {canvas: network.grid(canvas) for canvas in network.config.canvases}

    def resume(self) -> bool:
        """Go on from the last checkpoint in the folder; False when there is none."""
        self.step, orders = restore(self.folder, self._modules(), self.optimizer, self.signature)
        if self.order is not None:
            self.order.held = orders
        return self.step > 0

    def _modules(self) -> dict[str, nn.Module]:
        """What a run changes."""
        found: dict[str, nn.Module] = {"network": self.network, "objective": self.objective}
        return found if self.average is None else found | {"average": self.average}

    def run(self, report: Callable[[Progress], None] = lambda progress: None) -> bool:
        """Train to the last step, or until SIGTERM or SIGINT; whether it came to the end.

        Either way the last thing it does is to write a checkpoint.
        """
        self.network.train()
        saved = time.monotonic()
        if not distributed.is_first():
            return self._followed()
        with Journal(self.folder, self.step) as journal, self._stoppable():
            for progress in self._steps():
                report(progress)
                if progress.step % self.config.log_every == 0 or progress.step == progress.steps:
                    journal.write(progress)
                if time.monotonic() - saved > 60 * self.config.checkpoint_minutes:
                    self.save()
                    saved = time.monotonic()
                if self.stopping:
                    break
        self.save()
        return self.step >= self.config.steps

    def _followed(self) -> bool:
        """The same steps in a process that writes nothing."""
        for _ in self._steps():
            pass
        return True

    @property
    def learnt(self) -> SGMN:
        """The network to use: of averaged weights where there are any."""
        return self.network if self.average is None else cast(SGMN, self.average.module)

    def save(self) -> None:
        """Write the state to go on from, and the model to use."""
        orders = self.order.held if self.order is not None else {}
        store(self.folder, self.step, self._modules(), self.optimizer, orders, self.signature)
        used = Model(self.learnt, self.model.tokenizer, self.model.name)
        checkpoint.save(used, self.folder / "checkpoint")

    def _steps(self) -> Iterator[Progress]:
        loader = iter(loaded(self.batches, self._draws(), self.config.workers))
        while self.step < self.config.steps:
            began = time.monotonic()
            batches = [next(loader) for _ in range(self.config.accumulate)]
            outcomes = self._learn(batches)
            self.step += 1
            yield Progress(
                self.step,
                self.config.steps,
                fmean(float(one.loss) for one in outcomes),
                fmean(one.right for one in outcomes),
                self.optimizer.param_groups[0]["lr"],
                self.config.batch * len(batches) / (time.monotonic() - began),
                {name: fmean(one.parts[name] for one in outcomes) for name in outcomes[0].parts},
                sum(one.skipped for one in outcomes),
            )

    def _draws(self) -> Iterator[Draw]:
        """The batches still to come; of several processes, this one's share of each."""
        for index in range(self.step * self.config.accumulate, len(self.batches)):
            places = self.batches.places(index, self.order or self.batches.order)
            near = self.order.beside(places) if self.order is not None else ()
            yield index, distributed.share(places), distributed.share(near)

    def _learn(self, batches: list[Batch]) -> list[Outcome]:
        """One step of the optimizer on the mean loss of some batches."""
        torch.manual_seed(self.config.seed * 1_000_003 + self.step)  # dropout, as if uninterrupted
        share = warmup_cosine(self.step, self.config.steps, self.config.warmup)
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak_lr"] * share
        outcomes = [self._backward(batch, len(batches)) for batch in batches]
        distributed.average_gradients(self.network)
        nn.utils.clip_grad_norm_(self.network.parameters(), self.config.clip_norm)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        if self.average is not None:
            self.average.update_parameters(self.network)
        return outcomes

    def _backward(self, batch: Batch, parts: int) -> Outcome:
        for line in batch.damage:
            self.damaged.add(line)
            _LOG.warning("left out of a batch: %s", line)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            tokens = self.network.tokens(batch.clips)
            clips, guided = self.network.parts.guided_clips(tokens)
            products = self.network.products(batch.products)
        sold, listed = batch.sold.to(self.device), batch.listed.to(self.device)
        looked = None
        if batch.inside is not None:
            looked = Looked(guided.patch_weights, batch.inside.to(self.device))
        outcome: Outcome = self.objective(self.network, clips, products, sold, listed, looked)
        if outcome.loss.requires_grad:  # not when those clips are silent and only words may learn
            torch.autograd.backward(outcome.loss / parts)
        return outcome._replace(loss=outcome.loss.detach())

    @contextmanager
    def _stoppable(self) -> Iterator[None]:
        """SIGTERM and SIGINT end the run after the step in hand; a second one ends it at once."""

        def stop(number: int, frame: FrameType | None) -> None:
            if self.stopping:
                raise KeyboardInterrupt
            self.stopping = True

        before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def loaded(
    batches: Batches, draws: Iterator[int] | Iterator[Draw], workers: int
) -> DataLoader[Batch]:
    """The batches that are drawn, in order, one at a time, made by so many other processes."""
    workers = workers if batches.from_files else 0
    return DataLoader(
        batches,
        batch_size=None,
        sampler=draws,
        num_workers=workers,
        multiprocessing_context=distributed.start_method() if workers else None,
        worker_init_fn=_serving,
    )


def _serving(worker: int) -> None:
    """A signal to the whole process group is for the trainer, which still needs its workers, and
    with which they end."""
    follow_parent()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)


def require_fresh(folder: Path) -> None:
    """Refuse a folder that cannot be made, or that already holds a run."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(
            f"cannot be made ({error.strerror})", folder, "give another folder"
        ) from error
    if (folder / "state.json").exists():
        raise SettingsError("holds a run already", folder, "add --resume, or take another folder")


def optimizer(network: SGMN, config: TrainConfig) -> torch.optim.AdamW:
    """AdamW: rates of their own for pretrained parts and for the score's few scalars; norms,
    biases and gains without decay."""
    pretrained = {id(p) for part in network.towers.backbone() for p in part.parameters()}
    scalars = {id(p) for p in network.head.parameters()}
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for parameter in network.parameters():
        if parameter.requires_grad:
            rate = config.backbone_lr if id(parameter) in pretrained else config.lr
            rate *= config.head_times if id(parameter) in scalars else 1
            groups.setdefault((rate, parameter.dim() > 1), []).append(parameter)
    rows: list[dict[str, Any]] = [
        {
            "params": parameters,
            "peak_lr": rate,
            "weight_decay": config.weight_decay if decays else 0.0,
        }
        for (rate, decays), parameters in groups.items()
    ]
    return torch.optim.AdamW(rows, lr=config.lr, betas=(0.9, 0.98))


def _average(network: SGMN, decay: float) -> AveragedModel | None:
    if decay == 0:
        return None
    average = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
    return AveragedModel(network, multi_avg_fn=average, use_buffers=True)
