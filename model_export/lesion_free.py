"""What the has-mask head would say of a film without its lesions.

A source whose images all hold lesions says nothing of how low a score should be where there is
none. Its films do: the head's logit is the mean of the few highest cells of the activation map, so
it can be taken over the cells that lie apart from every lesion.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from model_export.datasets import Sample
from model_export.datasets.cache import pack
from model_export.networks.heads import CELL, TOP_CELLS
from service.imaging.normalise import Normalisation
from service.inference.contract import Contract
from service.inference.session import Session

MARGIN = CELL
"""Cells up to so many pixels from a lesion are left out: they see it, too."""


def lesion_free_logit(session: Session, contract: Contract, sample: Sample) -> float | None:
    """Return the has-mask logit of a sample without the cells around its lesions.

    Parameters
    ----------
    session
        Of the net, on a CPU: it is given the whole breast in its own shape.
    contract
        Of the same file.
    sample
        With the outline, or what stands for it, of every lesion.

    Returns
    -------
    None for an adopted net, where nobody drew the lesions, or where they leave less than
    `TOP_CELLS` cells of breast.
    """
    if not isinstance(contract.normalisation, Normalisation):
        return None
    packed = pack(sample, contract.spacing.working_mm, contract.normalisation)
    if packed.lesion is None:
        return None
    tile = packed.tile(contract.normalisation.maximum)
    activation = session.run(tile[np.newaxis, np.newaxis]).activation[0]
    near = cv2.dilate(packed.lesion, np.ones((2 * MARGIN + 1, 2 * MARGIN + 1), np.uint8))
    apart = activation[_cells(packed.breast, tile.shape) & ~_cells(near, tile.shape)]
    if apart.size < TOP_CELLS:
        return None
    return float(np.sort(apart)[-TOP_CELLS:].mean())


def _cells(mask: NDArray[np.uint8], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return which cells of a tile of this shape hold a pixel of the mask."""
    padded = np.zeros(shape, np.bool_)
    padded[: mask.shape[0], : mask.shape[1]] = mask > 0
    blocks = padded.reshape(shape[0] // CELL, CELL, shape[1] // CELL, CELL)
    return np.asarray(blocks.any(axis=(1, 3)))
