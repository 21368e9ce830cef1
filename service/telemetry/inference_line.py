"""One JSON line an inference: what answered what, how, and bit for bit with which result.

`mammoseg replay` does the same again and compares. A line holds nothing of a patient: study and
image are named by HMAC-SHA256 under the site's secret (FIPS 198-1), never by a UID or a digest
that others, who have the images too, could work out.
"""

import hashlib
import hmac
import struct
from datetime import UTC, datetime
from typing import Literal

import msgspec
import numpy as np
import xxhash

from service import __version__
from service.findings import Findings
from service.imaging.reader import ImageKind
from service.imaging.source_header import SourceHeader, tag_of
from service.inference.contract import Contract
from service.inference.net import ModelInfo
from service.metrics import Source
from service.segmenter import SegmentOptions
from service.telemetry.machine import machine

MIN_SECRET_BYTES = 16

ENDS_BYTES = 2**16
"""Of a file that has no UID, so much of its begin and of its end tell it from others: all of a
mammogram would take longer than the rest of the line."""

_STUDY = tag_of("StudyInstanceUID")


class OptionsOfLine(msgspec.Struct, frozen=True):
    """As `SegmentOptions`, and what the file was declared to be."""

    kind: ImageKind | None
    pixel_spacing_mm: tuple[float, float] | None
    gate: bool
    frame: int | None
    picture_side: int | None

    def options(self) -> SegmentOptions:
        """Return the caller's choices."""
        return SegmentOptions(self.pixel_spacing_mm, self.gate, self.frame, self.picture_side)


class ResultOfLine(msgspec.Struct, frozen=True):
    """What was found.

    Attributes
    ----------
    rows, columns
        Of the source image.
    score, decision
        Of the image; the score with all its bits.
    regions, mask_pixels
        Number of regions, and of the mask's source pixels.
    probability_xxh3, mask_xxh3
        Digests, see `digest_of_map` and `digest_of_mask`.
    warnings
        Codes, in order.
    """

    rows: int
    columns: int
    score: float
    decision: bool
    regions: int
    mask_pixels: int
    probability_xxh3: str
    mask_xxh3: str
    warnings: tuple[str, ...]


class InferenceLine(msgspec.Struct, frozen=True):
    """One inference.

    Attributes
    ----------
    time
        When it had ended, UTC, ISO 8601.
    service
        Its version.
    model, model_version, sha256
        What answered; the digest is of the ONNX file.
    contract
        SHA-256 of the contract, see `digest_of_contract`.
    device, provider, setup
        Where the net ran, and how.
    runtime, machine
        ONNX Runtime's version, and the processor: with another one, last bits may differ.
    source
        A request or the inbox.
    study, image
        Pseudonyms, see `Pseudonyms`; null without a secret, or without a study.
    options
        How it was asked for.
    result
        What was found.
    timing_ms
        Milliseconds by stage.
    model_id
        What callers name the model by; empty in lines of services that had one.
    """

    time: str
    service: str
    model: str
    model_version: str
    sha256: str
    contract: str
    device: str
    provider: str
    setup: str
    runtime: str
    machine: str
    source: Source
    study: str | None
    image: str | None
    options: OptionsOfLine
    result: ResultOfLine
    timing_ms: dict[str, float]
    model_id: str = ""
    event: Literal["inference"] = "inference"


class Pseudonyms:
    """Names for studies and images that only who has the secret can make.

    Parameters
    ----------
    secret
        The site's, at least `MIN_SECRET_BYTES` of them; None for no names.
    """

    def __init__(self, secret: bytes | None) -> None:
        self._key = None if secret is None else hmac.new(secret, digestmod=hashlib.sha256)

    def study(self, header: SourceHeader | None) -> str | None:
        """Return the name of an image's study, by its UID; 64 hexadecimal digits."""
        elements = () if header is None else header.elements
        uid = next((value.strip(b"\0 ") for tag, _, value in elements if tag == _STUDY), b"")
        return self._name(b"study", uid) if uid else None

    def image(self, sop_instance_uid: str | None, body: bytes | memoryview) -> str | None:
        """Return the name of an image: by its SOP Instance UID or, without one, by its bytes."""
        if sop_instance_uid is not None:
            return self._name(b"instance", sop_instance_uid.encode("ascii"))
        ends = b"".join((len(body).to_bytes(8, "big"), body[:ENDS_BYTES], body[-ENDS_BYTES:]))
        return self._name(b"file", ends)

    def fingerprint(self) -> str | None:
        """Return what tells the secret from another one, and does not lead back to it."""
        return self._name(b"secret", b"")

    def _name(self, what: bytes, value: bytes) -> str | None:
        if self._key is None:
            return None
        code = self._key.copy()
        code.update(what + b"\0" + value)
        return code.hexdigest()


def digest_of_map(findings: Findings) -> str:
    """Return XXH3 (128 bits, hex) of a probability map.

    Of its shape as two little-endian 32-bit numbers, and then its values, float32, row by row. It
    finds differences, it does not keep out forgers: SHA-256 would take 0.4 ms of a core.
    """
    probability = findings.lesion_map.probability
    digest = xxhash.xxh3_128(struct.pack("<2I", *probability.shape))
    digest.update(np.ascontiguousarray(probability).data)
    return digest.hexdigest()


def digest_of_mask(findings: Findings) -> str:
    """Return XXH3 (128 bits, hex) of a mask.

    Of its shape and then, for each region in it, in their order, of the box (top, left, bottom,
    right) and the pixels in it, a byte each, row by row. Numbers are 32-bit, little-endian. An
    empty mask is its shape alone.
    """
    digest = xxhash.xxh3_128(struct.pack("<2I", *findings.mask.shape))
    for region in () if findings.gated else findings.regions:
        if region.selected:
            box = region.box
            digest.update(struct.pack("<4I", box.top, box.left, box.bottom, box.right))
            digest.update(np.ascontiguousarray(region.pixels).data)
    return digest.hexdigest()


def digest_of_contract(contract: Contract) -> str:
    """Return SHA-256 (hex) of a contract's fields as JSON, sorted, without spaces."""
    fields = msgspec.json.encode(contract.model_dump(mode="json"), order="sorted")
    return hashlib.sha256(fields).hexdigest()


def result_of_line(findings: Findings) -> ResultOfLine:
    """Return what a line tells of findings."""
    rows, columns = findings.mask.shape
    drawn = () if findings.gated else [each for each in findings.regions if each.selected]
    return ResultOfLine(
        rows=rows,
        columns=columns,
        score=findings.has_mask.score,
        decision=findings.has_mask.decision,
        regions=len(findings.regions),
        mask_pixels=sum(region.area_pixels for region in drawn),
        probability_xxh3=digest_of_map(findings),
        mask_xxh3=digest_of_mask(findings),
        warnings=tuple(caveat.code for caveat in findings.caveats),
    )


class LineWriter:
    """Makes lines of one model's inferences; for several threads.

    Parameters
    ----------
    model_info
        What answers.
    pseudonyms
        Of the site.
    """

    def __init__(self, model_info: ModelInfo, pseudonyms: Pseudonyms) -> None:
        self._info, self._pseudonyms = model_info, pseudonyms
        self._contract, self._machine = digest_of_contract(model_info.contract), machine()

    def line(
        self,
        findings: Findings,
        body: bytes | memoryview,
        kind: ImageKind | None,
        options: SegmentOptions,
        source: Source,
    ) -> InferenceLine:
        """Return the line of an inference: what was found in `body`, and how it was asked for."""
        info, mammogram = self._info, findings.mammogram
        return InferenceLine(
            time=datetime.now(UTC).isoformat(timespec="milliseconds"),
            service=__version__,
            model=findings.model.name,
            model_version=findings.model.version,
            sha256=findings.model.sha256,
            contract=self._contract,
            device=info.device,
            provider=info.provider,
            setup=info.setup,
            runtime=info.runtime,
            machine=self._machine,
            source=source,
            study=self._pseudonyms.study(mammogram.header),
            image=self._pseudonyms.image(mammogram.sop_instance_uid, body),
            options=OptionsOfLine(
                kind, options.pixel_spacing_mm, options.gate, options.frame, options.picture_side
            ),
            result=result_of_line(findings),
            timing_ms=findings.timing_ms,
            model_id=findings.model.id,
        )
