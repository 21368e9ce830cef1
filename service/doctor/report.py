"""All checks, in order, and the keys that programs read."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, field
from typing import Any

from service.doctor.check import Check, mend
from service.doctor.decoders import decoders_check
from service.doctor.machine import machine_checks
from service.doctor.model import model_checks, other_model_check, signatures_check
from service.doctor.runtime import runtime_checks
from service.doctor.settings import destination_checks, read_settings
from service.doctor.start import start_checks
from service.errors import MammosegError, StartupError
from service.inference.device import nvidia_device_visible, resolve_device
from service.segmenter import Segmenter
from service.settings import Settings
from service.startup.models import open_models

MODEL_ADVICE = "what is named there keeps the service from starting: mend it, and ask again"
LIMITS_ADVICE = "raise the limit that is named above, and ask again"


@dataclass(slots=True)
class Report:
    """What the doctor found.

    Attributes
    ----------
    checks
        In the order they were made.
    facts
        Keys for programs, which stay.
    """

    checks: list[Check] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def is_well(self) -> bool:
        """Whether nothing must be mended."""
        return all(check.state != "mend" for check in self.checks)

    def document(self) -> dict[str, Any]:
        """Return all of it for JSON."""
        return self.facts | {
            "well": self.is_well,
            "checks": [asdict(check) for check in self.checks],
        }


def examine(report: Report, *, destinations: bool = False) -> Iterator[Check]:
    """Make every check, and yield each once it is made; all are in the report at the end.

    Parameters
    ----------
    report
        Filled.
    destinations
        Ask those too.
    """
    for check in _checks(report, destinations):
        report.checks.append(check)
        yield check


def _checks(report: Report, destinations: bool) -> Iterator[Check]:
    settings, check = read_settings()
    yield check
    if settings is None:
        return
    device = resolve_device(settings.device)
    report.facts |= {
        "device_asked_for": settings.device,
        "nvidia_device_visible": nvidia_device_visible(),
        "device": device,
    }
    yield from start_checks(settings)
    yield from machine_checks(settings)
    yield from runtime_checks(device)
    if any(check.name == "limits" and check.state == "mend" for check in report.checks):
        yield mend("model", "not opened: the runtime may end the process", LIMITS_ADVICE)
    else:
        yield from _with_model(report, settings)
    if destinations:
        yield from destination_checks(settings)


def _with_model(report: Report, settings: Settings) -> Iterator[Check]:
    try:
        models = open_models(settings)
    except StartupError as error:
        yield mend("model", str(error), MODEL_ADVICE)
        return
    with closing(models):
        segmenter = models.served[0]
        report.facts |= _facts(segmenter)
        report.facts["models"] = [
            {"id": each.model.id, "role": role, "sha256": each.model.sha256}
            for each, role in models.roles()
        ]
        yield decoders_check(segmenter.reader, min(settings.accept_modalities))
        try:
            for check in model_checks(segmenter):
                if check.name == "provider" and check.state != "well":
                    report.facts["golden_tile"] = "not reproduced"
                yield check
            yield signatures_check(settings.model_key)
            for other, role in models.roles():
                if other is not segmenter:
                    yield other_model_check(other, role)
        except MammosegError as error:
            yield mend("model", error.detail, "the device or a reader failed: ask again")


def _facts(segmenter: Segmenter) -> dict[str, Any]:
    info = segmenter.net.model_info
    return {
        "model": f"{segmenter.model.name} {segmenter.model.version}",
        "sha256": segmenter.model.sha256,
        "setup": info.setup,
        "provider": info.provider,
        "golden_tile": "reproduced",
        "sandbox": segmenter.reader.sandbox(),
        "weights_licence": segmenter.contract.provenance.licence,
    }
