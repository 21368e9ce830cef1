"""What weights come from: what their own run drew, and what those that it began from had drawn.

Patients of all of that are no strangers to the net, and all of its terms bind it. Each checkpoint
says it of itself, so that it may be moved; of older ones the configs of the runs say it.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from model_export.config import TrainingConfig
from model_export.config_file import CONFIG, stored_config
from model_export.networks.imagenet import notice
from model_export.seen_images import NOT_TOLD, SeenImages
from model_export.seen_images import union as all_seen

KEY = "lineage"
"""Under which a checkpoint keeps it."""


@dataclass(frozen=True, slots=True)
class Lineage:
    """What weights come from.

    Attributes
    ----------
    sources
        Whose images taught them, directly or through a net that they began from or learned from; in
        alphabetical order.
    notices
        What the licence has to say of other people's weights among their ancestors.
    images
        Which images those were.
    """

    sources: tuple[str, ...]
    notices: tuple[str, ...] = ()
    images: SeenImages = NOT_TOLD


def union(lineages: Iterable[Lineage]) -> Lineage:
    """Return everything that any of them names, once."""
    each = list(lineages)
    return Lineage(
        tuple(sorted({source for one in each for source in one.sources})),
        tuple(dict.fromkeys(said for one in each for said in one.notices)),
        all_seen(one.images for one in each),
    )


def having_seen(lineage: Lineage, images: SeenImages) -> Lineage:
    """Return a lineage with more images."""
    return replace(lineage, images=all_seen([lineage.images, images]))


def lineage_of_config(config: TrainingConfig, own_images: SeenImages = NOT_TOLD) -> Lineage:
    """Return what the weights of a run of this config come from.

    Parameters
    ----------
    config
        Of the run.
    own_images
        Those that the run itself has seen: no config says which.

    Raises
    ------
    FileNotFoundError
        The checkpoint that it starts from, or its teacher, is not there.
    ValueError
        One of them says nothing of itself, and nor does its folder.
    """
    said = notice(config.network)
    own = Lineage(config.sources, (said,) if said else (), own_images)
    before = [
        config.start_from,
        None if config.distillation is None else config.distillation.teacher,
    ]
    return union([own, *(lineage_of(path) for path in before if path is not None)])


def lineage_of(checkpoint: Path) -> Lineage:
    """Return what the weights of a checkpoint come from.

    Raises
    ------
    FileNotFoundError
        It is not there, or, where it says nothing of itself, one that it comes from.
    ValueError
        It says nothing of itself, and does not lie in its run's folder.
    """
    stored = torch.load(checkpoint, map_location="cpu", weights_only=False).get(KEY)
    if stored is not None:
        said = stored.get("images")
        images = NOT_TOLD if said is None else SeenImages.from_text(said)
        return Lineage(tuple(stored["sources"]), tuple(stored["notices"]), images)
    run = checkpoint.parent.parent
    if (run / "members.json").exists():
        members = json.loads((run / "members.json").read_text())
        return union(lineage_of(Path(path)) for path in members)
    if not (run / CONFIG).exists():
        raise ValueError(
            f"nothing says what {checkpoint} was trained on: put it back into its run's folder"
        )
    return lineage_of_config(stored_config(run))


def stored_as(lineage: Lineage) -> dict[str, Any]:
    """Return what a checkpoint keeps of it, by its key."""
    images = lineage.images.to_text()
    return {KEY: {"sources": lineage.sources, "notices": lineage.notices, "images": images}}
