"""`mammoseg replay`: the inference of a line again, compared bit for bit with what it says."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import msgspec

from service.errors import MammosegError
from service.imaging.elements import uid
from service.imaging.reader import sniff
from service.imaging.source_header import look
from service.segmenter import Segmenter
from service.telemetry.inference_line import (
    InferenceLine,
    LineWriter,
    Pseudonyms,
    ResultOfLine,
)

AREA_TOLERANCE = 0.02
"""Share of the mask's pixels that another processor may find more or fewer."""

Verdict = Literal["same", "within-tolerance", "different", "image-missing", "other-model"]

WELL: frozenset[Verdict] = frozenset(("same", "within-tolerance"))

UNNAMED = "the line does not name its image: give one file as --images"


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that says to be an inference and is none, or is no JSON: a disk was full, say.

    Attributes
    ----------
    number
        From 1 on.
    why
        What is wrong with it.
    """

    number: int
    why: str

    def __str__(self) -> str:
        return f"line {self.number} is no line of an inference: {self.why}"


@dataclass(frozen=True, slots=True)
class Replay:
    """What came of one line.

    Attributes
    ----------
    verdict
        Whether the same came out again.
    compared
        "bits", or "tolerance" where machine, runtime or device do not promise the same bits.
    why
        Why not bits, or why nothing could be compared.
    differences
        By name, what the line says and what came out.
    """

    verdict: Verdict
    compared: Literal["bits", "tolerance"] = "bits"
    why: tuple[str, ...] = ()
    differences: dict[str, tuple[Any, Any]] = field(default_factory=dict)


def lines_of(text: str) -> Iterator[InferenceLine | BadLine]:
    """Yield the inferences among lines of JSON, and what is none; a log's others are left out."""
    # Not `splitlines`: a string of JSON may hold what that takes for the end of a line.
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            event = json.loads(line).get("event")
            if event == "inference":
                yield msgspec.json.decode(line, type=InferenceLine)
        except (ValueError, AttributeError, RecursionError, msgspec.MsgspecError) as error:
            yield BadLine(number, str(error))


class Images:
    """The images of a folder by the names that lines give them.

    Parameters
    ----------
    path
        A folder, searched at any depth, or one file.
    pseudonyms
        Of the site whose lines are replayed.
    """

    def __init__(self, path: Path, pseudonyms: Pseudonyms) -> None:
        self._is_one = path.is_file()
        found = [path] if self._is_one else sorted(path.rglob("*"))
        self._files = [file for file in found if file.is_file()]
        self._pseudonyms = pseudonyms
        self._named: dict[str, list[Path]] | None = None

    def of(self, line: InferenceLine) -> list[Path]:
        """Return the files that a line may be of: those so named, or the one that is given."""
        if line.image is None:
            return self._files if self._is_one else []
        if self._named is None:
            self._named = self._name_all()
        return self._named.get(line.image, [])

    def _name_all(self) -> dict[str, list[Path]]:
        named: dict[str, list[Path]] = {}
        for file in self._files:
            name = self._pseudonyms.image(*_uid_and_body(file))
            if name is not None:
                named.setdefault(name, []).append(file)
        return named


def _uid_and_body(file: Path) -> tuple[str | None, bytes]:
    body = file.read_bytes()
    if sniff(body) != "dicom":
        return None, body
    try:
        return uid(look(body).header.dataset(), "SOPInstanceUID"), body
    except MammosegError:
        return None, body


class Replayer:
    """Does inferences again.

    Parameters
    ----------
    segmenter
        With the model that is to answer again.
    images
        Where the lines' images are.
    """

    def __init__(self, segmenter: Segmenter, images: Images) -> None:
        self._segmenter, self._images = segmenter, images
        self._here = LineWriter(segmenter.net.model_info, Pseudonyms(None))

    def replay(self, line: InferenceLine) -> Replay:
        """Do one inference again, on each file that its image may be, and compare the likest."""
        model = self._segmenter.model
        if line.sha256 != model.sha256:
            then = f"{line.model} {line.model_version} ({line.sha256[:12]})"
            now = f"{model.name} {model.version} ({model.sha256[:12]})"
            return Replay("other-model", why=(f"the line is of {then}, here is {now}",))
        files = self._images.of(line)
        if not files:
            why = UNNAMED if line.image is None else "no file here has the line's image"
            return Replay("image-missing", why=(why,))
        replays = (self._compared(line, file) for file in files)
        return min(replays, key=lambda each: len(each.differences))

    def _compared(self, line: InferenceLine, file: Path) -> Replay:
        body, options = file.read_bytes(), line.options
        # What is made of the findings does not change them, and here nothing is.
        judged = replace(options.options(), picture_side=0, objects=False)
        try:
            findings = self._segmenter.segment(body, options.kind, judged)
        except MammosegError as error:
            return Replay("different", differences={"refused": (None, error.code)})
        here = self._here.line(findings, body, options.kind, options.options(), line.source)
        return compare(line, here, self._segmenter.contract.golden.tolerance)


def compare(line: InferenceLine, here: InferenceLine, tolerance: float) -> Replay:
    """Compare what a line says with what came out here.

    Parameters
    ----------
    line, here
        The inference, then and now.
    tolerance
        How far the score may be off where bits are not promised.
    """
    differences = {
        name: (before, after)
        for name in ResultOfLine.__struct_fields__
        if (before := getattr(line.result, name)) != (after := getattr(here.result, name))
    }
    why = not_alike(line, here)
    if not differences:
        return Replay("same", why=why)
    if not why:
        return Replay("different", differences=differences)
    close = _is_close(line.result, here.result, tolerance)
    return Replay("within-tolerance" if close else "different", "tolerance", why, differences)


def not_alike(line: InferenceLine, here: InferenceLine) -> tuple[str, ...]:
    """Return why the same bits are not promised; nothing where they are."""
    reasons = [
        f"{name} was {getattr(line, name)}, is {getattr(here, name)}"
        for name in ("service", "contract", "device", "provider", "setup", "runtime", "machine")
        if getattr(line, name) != getattr(here, name)
    ]
    if here.device != "cpu":
        reasons.append("on a GPU sums depend on how tiles are batched")
    return tuple(reasons)


def _is_close(before: ResultOfLine, after: ResultOfLine, tolerance: float) -> bool:
    exact = ("rows", "columns", "decision", "warnings")
    most = max(before.mask_pixels, after.mask_pixels)
    return (
        all(getattr(before, name) == getattr(after, name) for name in exact)
        and abs(before.score - after.score) <= tolerance
        and abs(before.mask_pixels - after.mask_pixels) <= AREA_TOLERANCE * most
    )
