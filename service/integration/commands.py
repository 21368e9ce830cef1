"""`mammoseg follow` and `mammoseg pull`: a PACS and the service, joined from outside of both."""

import os
import signal
from pathlib import Path
from typing import Annotated

import httpx
import typer

from service.audit.trail import AuditTrail
from service.comma_list import comma_list
from service.dicomweb.archive import Archive, InstanceUids, ServerFailed
from service.dicomweb.audited import RemoteAudit
from service.dicomweb.url import without_credentials
from service.errors import StartupError
from service.header_text import RULE, given, is_bearer
from service.imaging.elements import is_uid
from service.imaging.modality import check_modalities
from service.integration.cursor import Cursor
from service.integration.follow import Follower, FollowOptions
from service.integration.orthanc import Orthanc
from service.integration.pull import Pull
from service.integration.remote import Denied
from service.integration.service_client import ServiceClient
from service.logs import configure_logs
from service.outputs.dicom.registry import OUTPUTS
from service.settings import Settings
from service.startup.models import open_segmenter
from service.terminal import console, fail, settings_or_exit, stderr

app = typer.Typer(add_completion=False)

TIMEOUT_S = 120.0
"""Of one request: longer than the service waits for its net."""

USERNAME, PASSWORD = "MAMMOSEG_ORTHANC_USERNAME", "MAMMOSEG_ORTHANC_PASSWORD"
DICOMWEB_USERNAME, DICOMWEB_PASSWORD = "MAMMOSEG_DICOMWEB_USERNAME", "MAMMOSEG_DICOMWEB_PASSWORD"
"""Of basic authentication; from the environment, since others see a command line."""

SERVICE_KEY = "MAMMOSEG_SERVICE_KEY"
"""The service's own key, where it asks for one."""


@app.command()
def follow(
    orthanc: Annotated[str, typer.Option(help="Orthanc's REST API, http://HOST:8042.")],
    service: Annotated[
        str, typer.Option(help="The service, http://HOST:8000.")
    ] = "http://127.0.0.1:8000",
    kinds: Annotated[
        str, typer.Option(help=f"Results to store, separated by commas: {', '.join(OUTPUTS)}.")
    ] = "seg,sr",
    modalities: Annotated[
        str, typer.Option(help="Modalities to send, separated by commas.")
    ] = "MG",
    cursor: Annotated[Path, typer.Option(help="File that keeps the position.")] = Path(
        "mammoseg-follow.json"
    ),
    from_start: Annotated[
        bool, typer.Option(help="Without a cursor, begin with what Orthanc already holds.")
    ] = False,
    period: Annotated[float, typer.Option(min=0.1, help="Seconds between two looks.")] = 1.0,
    attempts: Annotated[
        int, typer.Option(min=1, help="At one image while the service is up; then it is given up.")
    ] = 8,
    longest_wait: Annotated[
        float, typer.Option(min=1.0, help="Seconds between two attempts, at most.")
    ] = 60.0,
) -> None:
    """Follow an Orthanc: send every new mammogram to the service, store the results beside it.

    Runs until SIGTERM. Orthanc's basic authentication comes from MAMMOSEG_ORTHANC_USERNAME and
    MAMMOSEG_ORTHANC_PASSWORD, the service's key from MAMMOSEG_SERVICE_KEY.
    """
    settings = settings_or_exit()
    configure_logs(settings.log_level, settings.log_format, waits=False)
    options = FollowOptions(_kinds(kinds), _modalities(modalities), period, attempts, longest_wait)
    orthanc, service = _server("--orthanc", orthanc), _server("--service", service)
    credentials, headers = _credentials(USERNAME, PASSWORD), _key_header()
    position = _cursor(cursor, from_start)
    with (
        _audit_trail(settings) as trail,
        httpx.Client(base_url=orthanc, timeout=TIMEOUT_S, auth=credentials) as pacs,
        httpx.Client(base_url=service, timeout=TIMEOUT_S, headers=headers) as server,
    ):
        follower = Follower(
            Orthanc(pacs),
            ServiceClient(server),
            position,
            options,
            audit=RemoteAudit(trail, orthanc),
        )
        for sign in (signal.SIGTERM, signal.SIGINT):
            signal.signal(sign, lambda *_: follower.stop.set())
        try:
            follower.run()
        except Denied as denial:
            fail(str(denial))


@app.command()
def pull(
    dicomweb: Annotated[str, typer.Option(help="Root of the DICOMweb services of a PACS.")],
    study: Annotated[str, typer.Option(help="Study Instance UID.")],
    out: Annotated[Path | None, typer.Option(help="Folder for the results.")] = None,
    store: Annotated[bool, typer.Option(help="Store the DICOM results in the study.")] = False,
    kinds: Annotated[
        str, typer.Option(help=f"DICOM results, separated by commas: {', '.join(OUTPUTS)}.")
    ] = "seg,sr",
) -> None:
    """Fetch the mammograms of a study, segment them here, keep the results or store them back.

    Credentials come from MAMMOSEG_DICOMWEB_USERNAME and MAMMOSEG_DICOMWEB_PASSWORD.
    """
    if out is None and not store:
        fail("say where results go: --out FOLDER, --store, or both")
    if not is_uid(study):
        fail("--study takes a Study Instance UID")
    settings = settings_or_exit()
    wanted, dicomweb = _kinds(kinds), _server("--dicomweb", dicomweb)
    configure_logs("warning", "console")
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
    archive = Archive(dicomweb, study, dicomweb_credentials())
    try:
        with (
            open_segmenter(settings) as segmenter,
            AuditTrail("mammoseg pull", settings.audit_options(settings.inbox)) as trail,
        ):
            audit = RemoteAudit(trail, dicomweb)
            task = Pull(segmenter, settings.read_limits(), wanted, out, store, audit)
            refused = task.run(archive, _Console())
    except StartupError as error:
        fail(error)
    except ServerFailed as failure:
        fail(f"{without_credentials(dicomweb)} cannot be searched ({failure.code})")
    raise typer.Exit(1 if refused else 0)


class _Console:
    """Tells the terminal what comes of each instance."""

    def done(self, reference: InstanceUids, score: float) -> None:
        console.print(f"{reference.shown}: score {score:.3f}", markup=False)

    def refused(self, reference: InstanceUids, reason: str) -> None:
        stderr.print(f"{reference.shown}: {reason}", style="red", markup=False)


def _audit_trail(settings: Settings) -> AuditTrail:
    try:
        return AuditTrail("mammoseg follow", settings.audit_options(settings.inbox))
    except StartupError as error:
        fail(error)


def _split(text: str) -> list[str]:
    return list(comma_list(text))


def _kinds(text: str) -> tuple[str, ...]:
    kinds = tuple(dict.fromkeys(_split(text)))
    if not kinds or not set(kinds) <= OUTPUTS.keys():
        fail(f"--kinds takes some of {', '.join(OUTPUTS)}")
    return kinds


def _modalities(text: str) -> frozenset[str]:
    modalities = _split(text)
    try:
        check_modalities(modalities)
    except ValueError as error:
        fail(f"--modalities: {error}")
    if not modalities:
        fail("--modalities names none: nothing would be sent")
    return frozenset(modalities)


def _cursor(file: Path, from_start: bool) -> Cursor:
    try:
        position = Cursor.load(file)
        if position.last is None and from_start:
            position.last = 0
        position.save()
    except (OSError, ValueError) as error:
        fail(str(error))
    return position


def _key_header() -> dict[str, str]:
    key = _given(SERVICE_KEY)
    if key is None:
        return {}
    if not is_bearer(key):
        # Not its text: it is a secret.
        fail(f"{SERVICE_KEY}: {RULE}")
    return {"Authorization": f"Bearer {key}"}


def _given(variable: str) -> str | None:
    """Return a variable's value; one that was meant to be there must not be taken for none."""
    text = os.environ.get(variable)
    if text is not None and not given(text):
        fail(f"{variable}: must not be empty; leave it out for the default")
    return None if text is None else given(text)


def _server(option: str, url: str) -> str:
    """Return the URL of a server; without a scheme, nobody could ever be asked."""
    try:
        parts = httpx.URL(given(url))
    except httpx.InvalidURL:
        parts = httpx.URL()
    if parts.scheme not in ("http", "https") or not parts.host:
        fail(f"{option} takes a URL such as http://HOST:8042")
    return str(parts)


def dicomweb_credentials() -> tuple[str, str] | None:
    """Return name and password for a DICOMweb server, from the environment."""
    return _credentials(DICOMWEB_USERNAME, DICOMWEB_PASSWORD)


def _credentials(username: str, password: str) -> tuple[str, str] | None:
    name = _given(username)
    return None if name is None else (name, given(os.environ.get(password, "")))
