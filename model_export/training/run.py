"""A training run: Lightning drives; this says what it is given and what it leaves behind."""

import json
import signal
import warnings
from collections.abc import Sequence
from pathlib import Path

import lightning
import torch
from lightning.pytorch.callbacks import (
    Callback,
    LearningRateMonitor,
    ModelCheckpoint,
    RichProgressBar,
)
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from lightning.pytorch.utilities.exceptions import SIGTERMException
from rich import get_console
from torch.utils.data import DataLoader

from model_export.config import TrainingConfig
from model_export.config_file import CONFIG, stored_config
from model_export.datasets import cache
from model_export.datasets.cache import Packed
from model_export.datasets.lost_lesions import remarks_on_lost
from model_export.datasets.remarks import remarks_on
from model_export.networks import build
from model_export.sampling.batches import Batch, CropBatches
from model_export.sampling.matching import Matchers
from model_export.sampling.placement import FalsePositive
from model_export.sampling.subset import nested_share
from model_export.seen_images import SeenImages
from model_export.training.averaging import Averaging
from model_export.training.checkpoints import start_from
from model_export.training.choosing import Best
from model_export.training.curves import DrawCurves
from model_export.training.lineage import Lineage, having_seen, lineage_of, lineage_of_config
from model_export.training.lineage_callback import SaysLineage
from model_export.training.mining import mine, mined_once
from model_export.training.precision import device_of, resolve
from model_export.training.run_folder import begin, git_state
from model_export.training.stopping import EpochLoader, SaveWhenTerminated, Terminated
from model_export.training.task import SegmentationTask, merit
from model_export.training.validation import can_choose, validate

LAST = "last.ckpt"
"""What `--resume` goes on from: after the last whole epoch, or the last step before SIGTERM."""

NOTHING_CHOOSES = (
    "No validation patient can tell a good checkpoint from a bad one (it takes lesions with "
    "outlines or boxes, or images with and without lesions): best.ckpt will be the last epoch's."
)


class Batches(lightning.LightningDataModule):
    """Gives the loader of the epoch that is about to run.

    Parameters
    ----------
    config
        Of the run.
    samples
        Training samples of all sources.
    run
        The run's folder, for what is mined; None where nothing is.
    """

    def __init__(
        self, config: TrainingConfig, samples: Sequence[Packed], run: Path | None = None
    ) -> None:
        super().__init__()
        self._config = config
        self._run = run
        self._samples = samples
        self._matchers = Matchers(samples, config)

    def train_dataloader(self) -> DataLoader[Batch]:
        """Return the batches of the trainer's current epoch."""
        epoch = self.trainer.current_epoch if self.trainer else 0
        hard = self._false_positives(epoch)
        batches = CropBatches(self._samples, self._config, epoch, self._matchers, hard)
        return EpochLoader(batches, self._steps_done, self._config.workers)

    def _false_positives(self, epoch: int) -> list[FalsePositive]:
        phase = self._config.mined_in(epoch)
        if phase is None or self._run is None or self.trainer is None:
            return []
        return mined_once(self._run / f"mined-{phase}.json", self._mined)

    def _mined(self) -> list[FalsePositive]:
        """Look for them with the weights as they are now."""
        assert self.trainer is not None
        task, config = self.trainer.lightning_module, self._config
        assert isinstance(task, SegmentationTask)
        precision = resolve(config.precision, task.device.type)
        task.eval()
        try:
            return mine(task.net, self._samples, config.normalisation.maximum, precision)
        finally:
            task.train()

    def _steps_done(self) -> int:
        return self.trainer.global_step % self._config.steps_per_epoch if self.trainer else 0

    def val_dataloader(self) -> DataLoader[int]:
        """Return one step, in which the task goes through its validation samples itself."""
        return DataLoader([0], batch_size=None)  # type: ignore[arg-type]


def train(config: TrainingConfig, data: Path, packed: Path, run: Path, *, resume: bool) -> None:
    """Train into one run folder: config, seed, git state, logs, curves, checkpoints.

    Parameters
    ----------
    data
        Holds one folder a source.
    packed
        Folder of the packed samples; built where missing.
    run
        The run's folder.
    resume
        Go on from `run`/checkpoints/last.ckpt, the end of the last whole epoch, bit for bit where
        the hardware allows.

    Raises
    ------
    FileNotFoundError
        There is nothing to resume, or no checkpoint to start from.
    ValueError
        The run was started with another config, the checkpoint to start from holds another net or
        does not say what it was trained on, nothing is left to train, the folder of a new run holds
        one already, or no epoch has a figure of merit that is a number.
    KeyboardInterrupt
        The run was interrupted; it can be resumed if an epoch was finished.
    Terminated
        The run got SIGTERM: it stopped after its step, and can be resumed from there.
    """
    last = run / "checkpoints" / LAST
    if resume:
        _check_resumable(config, run, last)
    else:
        begin(run)
    # Before anything is packed: what it starts from may be missing.
    lineage = lineage_of(last) if resume else lineage_of_config(config, SeenImages())
    torch.set_num_threads(config.threads)
    lightning.seed_everything(config.seed, workers=True)
    samples = _samples(config, data, packed)
    remarks = [one for source in config.sources for one in remarks_on(data / source)]
    for remark in remarks + remarks_on_lost(samples, config.working_mm):
        get_console().print(remark, style="yellow", markup=False)
    training = [
        one
        for one in samples
        if one.split == "train" and one.lesion_fraction <= config.sampling.max_lesion_fraction
    ]
    held_out = [one for one in samples if one.split == "validation"]
    chooses = can_choose(held_out)
    if not chooses:
        get_console().print(NOTHING_CHOOSES)
    task = SegmentationTask(config, held_out)
    drawn_from = nested_share(training, config.train_share)
    lineage = having_seen(lineage, _seen(drawn_from, held_out if chooses else ()))
    batches = Batches(config, drawn_from, run)
    if config.start_from is not None and not resume:
        started = start_from(task.net, config.start_from)
        (run / "start.json").write_text(json.dumps(started, indent=2) + "\n")
    (run / CONFIG).write_text(config.model_dump_json(indent=2) + "\n")
    with (run / "git.txt").open("a" if resume else "w") as states:
        states.write(git_state())
    _fit(_trainer(config, run, lineage, chooses=chooses), task, batches, last if resume else None)


def _check_resumable(config: TrainingConfig, run: Path, last: Path) -> None:
    if not last.exists():
        raise FileNotFoundError(f"nothing to resume: no {last}")
    if stored_config(run) != config:
        raise ValueError(
            f"{run} was started with another config; start a new run from its checkpoint instead"
        )


def validated(run: Path, checkpoint: str, data: Path, packed: Path) -> dict[str, float]:
    """Return the figures of a run's checkpoint on validation patients, the one that chooses too.

    Raises
    ------
    FileNotFoundError
        There is no such run, or no such checkpoint.
    """
    config = stored_config(run)
    torch.set_num_threads(config.threads)
    held_out = [one for one in _samples(config, data, packed) if one.split == "validation"]
    net = build(config.network)
    start_from(net, run / "checkpoints" / f"{checkpoint}.ckpt")
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    precision = resolve(config.precision, "cpu")
    figures = validate(net.eval(), held_out, config.normalisation.maximum, precision)
    return {"figure_of_merit": merit(figures), **figures}


def _samples(config: TrainingConfig, data: Path, packed: Path) -> list[Packed]:
    """Return the packed samples of a run's sources, packing what is not."""
    cache.build(data, packed, config.sources, config.working_mm, config.normalisation)
    return [
        sample
        for source in config.sources
        for sample in cache.load(packed, source, config.working_mm, config.normalisation)
    ]


def _seen(trained: Sequence[Packed], chose: Sequence[Packed]) -> SeenImages:
    return SeenImages(
        frozenset(one.digest for one in trained), frozenset(one.digest for one in chose)
    )


def _fit(
    trainer: lightning.Trainer, task: SegmentationTask, batches: Batches, last: Path | None
) -> None:
    before = signal.getsignal(signal.SIGINT)
    try:
        with warnings.catch_warnings():
            # Lightning wonders at batch norms that are frozen.
            warnings.filterwarnings("ignore", r"Found \d+ module\(s\) in eval mode")
            trainer.fit(task, datamodule=batches, ckpt_path=last, weights_only=False)
        for callback in trainer.checkpoint_callbacks:
            if isinstance(callback, Best):
                callback.check_chosen()
    except SIGTERMException as stop:
        raise Terminated from stop
    except SystemExit as stop:
        # Lightning turns an interrupt into an exit, and leaves interrupts ignored.
        signal.signal(signal.SIGINT, before)
        raise KeyboardInterrupt from stop


def _trainer(
    config: TrainingConfig, run: Path, lineage: Lineage, *, chooses: bool
) -> lightning.Trainer:
    checkpoints = run / "checkpoints"
    callbacks: list[Callback] = [
        _each_epoch(checkpoints, "last"),
        Best(checkpoints) if chooses else _each_epoch(checkpoints, "best"),
        Averaging(config.ema_decay),
        SaysLineage(lineage),
        LearningRateMonitor("step"),
        DrawCurves(run),
        SaveWhenTerminated(checkpoints / LAST),
        RichProgressBar(),
    ]
    return lightning.Trainer(
        default_root_dir=run,
        max_epochs=config.epochs,
        precision=resolve(config.precision, device_of(config.devices)),  # type: ignore[arg-type]
        devices=config.devices,
        callbacks=callbacks,
        logger=[TensorBoardLogger(run, name="tensorboard"), CSVLogger(run, name="csv")],
        reload_dataloaders_every_n_epochs=1,
        check_val_every_n_epoch=config.validate_every,
        num_sanity_val_steps=0,
        gradient_clip_val=5.0,
        # Odd, or streams that take turns would be logged in part.
        log_every_n_steps=5,
    )


def _each_epoch(folder: Path, name: str) -> ModelCheckpoint:
    return ModelCheckpoint(
        folder,
        filename=name,
        # Of no effect here, but Lightning tells the states of two callbacks apart by it.
        mode="min" if name == "last" else "max",
        save_on_train_epoch_end=True,
        enable_version_counter=False,
    )
