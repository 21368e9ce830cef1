import json
from pathlib import Path

import pytest
import typer
from pydantic import ValidationError

from service.destinations.stow import StowDestination
from service.inference.device import Gpu
from service.settings import Settings
from service.system.cores import available_cores
from service.terminal import settings_or_exit, unknown_variables

pytestmark = pytest.mark.unit


def test_every_knob_has_a_default_within_its_bounds() -> None:
    settings = Settings()
    assert (settings.host, settings.port) == ("127.0.0.1", 8000)
    assert settings.runners == available_cores() >= 1


def test_the_environment_sets_a_knob(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAMMOSEG_PORT", "9000")
    monkeypatch.setenv("MAMMOSEG_DEVICE", "cpu")
    assert (Settings().port, Settings().device) == (9000, "cpu")
    assert Settings(port=9001).port == 9001


@pytest.mark.parametrize(
    ("text", "modalities"), [("MG", {"MG"}), ("MG,CR", {"MG", "CR"}), (" MG , CT ,", {"MG", "CT"})]
)
def test_modalities_are_separated_by_commas(
    monkeypatch: pytest.MonkeyPatch, text: str, modalities: set[str]
) -> None:
    monkeypatch.setenv("MAMMOSEG_ACCEPT_MODALITIES", text)
    assert Settings().accept_modalities == modalities
    assert Settings().read_limits().accept_modalities == modalities


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "70000"),
        ("DEVICE", "gpu"),
        ("RUNNERS", "0"),
        ("DEADLINE_S", "0"),
        ("PORT", "x"),
        ("GPU_MEMORY_MIB", "10"),
        ("ENGINE_CACHE", "/nowhere/at/all"),
        ("ACCEPT_MODALITIES", ""),
        ("ACCEPT_MODALITIES", " , "),
        ("HOST", ""),
        ("HOST", " "),
        ("MODEL", ""),
        ("INBOX", ""),
        ("ENGINE_CACHE", ""),
        ("INBOX_RESULTS", ""),
        ("SCP_CALLERS", ","),
        ("SCP_CALLERS", ""),
        ("SCP_CALLERS", " "),
        ("DESTINATIONS", " , "),
    ],
)
def test_a_value_out_of_bounds_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"MAMMOSEG_{name}", value)
    with pytest.raises(ValidationError):
        Settings()


def test_what_a_gpu_is_allowed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert Settings().gpu() == Gpu(None, None)
    monkeypatch.setenv("MAMMOSEG_DEVICE", "tensorrt")
    monkeypatch.setenv("MAMMOSEG_GPU_MEMORY_MIB", "4096")
    monkeypatch.setenv("MAMMOSEG_ENGINE_CACHE", str(tmp_path))
    assert Settings().device == "tensorrt"
    assert Settings().gpu() == Gpu(4096, tmp_path)
    monkeypatch.setenv("MAMMOSEG_GPU_TRIALS", "false")
    assert Settings().gpu() == Gpu(4096, tmp_path, autotune=False)


@pytest.mark.parametrize("mode", [0o757, 0o775, 0o1777])
def test_engines_that_others_may_write_are_not_run(tmp_path: Path, mode: int) -> None:
    tmp_path.chmod(mode)
    with pytest.raises(ValidationError, match="nobody else may write"):
        Settings(engine_cache=tmp_path)
    tmp_path.chmod(0o755)
    assert Settings(engine_cache=tmp_path).gpu().engines == tmp_path


def test_white_space_around_a_value_is_none_of_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in {
        "HOST": "127.0.0.1",
        "KEYS_FILE": "/keys.json",
        "OIDC_ISSUER": "https://provider",
        "OIDC_AUDIENCE": "mammoseg",
        "MODEL": "/model.onnx",
        "INBOX": str(tmp_path),
        "INBOX_DATABASE": "postgresql://user@host/database",
        "DESTINATIONS": '[{"url": "https://h/a ", "token": "t\\n"}]',
        "AUDIT_FOLDER": "/audit",
        "TRACE_ENDPOINT": "http://collector:4318/v1/traces",
        "LOG_LEVEL": "debug",
    }.items():
        monkeypatch.setenv(f"MAMMOSEG_{name}", f" {value}\n")
    settings = Settings()
    assert (settings.host, settings.oidc_audience) == ("127.0.0.1", "mammoseg")
    paths = (settings.keys_file, settings.model, settings.inbox, settings.audit_folder)
    assert paths == (Path("/keys.json"), Path("/model.onnx"), tmp_path, Path("/audit"))
    postgres = settings.postgres_options()
    assert postgres is not None and postgres.database == "database"
    (destination,) = settings.destinations
    assert isinstance(destination, StowDestination) and destination.token is not None
    assert (destination.url, destination.token.get_secret_value()) == ("https://h/a", "t")


@pytest.mark.parametrize("token", ["m\u00e4", "two words", "a\nb", "", " "])
def test_a_token_that_no_header_can_hold_is_refused_and_not_quoted(token: str) -> None:
    with pytest.raises(ValidationError, match="visible ASCII") as refused:
        Settings(destinations=json.dumps([{"url": "https://h/a", "token": token}]))
    assert not token.strip() or token not in str(refused.value)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("mg", "'mg' is no Modality .*is MG meant"),
        ('"MG,DX"', "is (DX|MG) meant"),
        ("MG;DX", "'MG;DX' is no Modality"),
        ("MG DX XY ZZ 12345", "is no Modality"),
        ("MG,\u041c\u0413", r"is no Modality"),
    ],
)
def test_a_modality_that_no_image_can_have_is_refused_in_words(
    monkeypatch: pytest.MonkeyPatch, value: str, said: str
) -> None:
    monkeypatch.setenv("MAMMOSEG_ACCEPT_MODALITIES", value)
    with pytest.raises(ValidationError, match=said):
        Settings()


def test_megapixels_reach_the_reader() -> None:
    assert Settings(max_megapixels=2).read_limits().max_pixels == 2_000_000


def test_memory_is_shared_out_from_one_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.settings.available_cores", lambda: 2)
    settings = Settings(runners=2)
    assert settings.memory_mib == 2048
    assert settings.read_limits().memory_bytes == settings.memory.reader_mib << 20
    assert Settings(runners=2, readers=1, reader_memory_mib=300).memory.reader_mib == 300


def test_memory_that_cannot_hold_the_service_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAMMOSEG_MEMORY_MIB", "300")
    with pytest.raises(ValidationError, match="MEMORY_MIB=300 cannot hold"):
        Settings()


def test_a_variable_that_is_no_setting_ends_the_start(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MAMMOSEG_ACCEPT_MODALITY", "secret")
    with pytest.raises(typer.Exit):
        settings_or_exit()
    said = " ".join(capsys.readouterr().err.split())
    assert "is it MAMMOSEG_ACCEPT_MODALITIES?" in said
    assert "secret" not in said


@pytest.mark.parametrize(
    "name",
    [
        "mammoseg_port",
        "MAMMOSEG_ORTHANC_PASSWORD",
        "MAMMOSEG_DICOMWEB_USERNAME",
        "MAMMOSEG_SCP_PORT",
        "MAMMOSEG_INGEST",
        "PATH",
    ],
)
def test_what_commands_set_or_once_was_a_setting_is_no_mistake(name: str) -> None:
    assert unknown_variables({name: "1"}) == []


def of_kubernetes(service: str) -> dict[str, str]:
    """Return what a pod is told of a service with two ports (Kubernetes 1.34, Services)."""
    told = {"SERVICE_HOST": "10.0.0.11", "SERVICE_PORT": "80", "SERVICE_PORT_HTTP": "80"}
    told["PORT"] = "tcp://10.0.0.11:80"
    for port, protocol in ((80, "tcp"), (104, "sctp")):
        link = f"PORT_{port}_{protocol.upper()}"
        told |= {link: f"{protocol}://10.0.0.11:{port}", f"{link}_PROTO": protocol}
        told |= {f"{link}_PORT": str(port), f"{link}_ADDR": "10.0.0.11"}
    return {f"{service}_{name}": value for name, value in told.items()}


@pytest.mark.parametrize("service", ["MAMMOSEG", "MAMMOSEG_SCP", "MAMMOSEG_PORT", "MAMMOSEG_A_1"])
def test_what_kubernetes_tells_of_a_service_is_no_mistake(service: str) -> None:
    assert unknown_variables(of_kubernetes(service) | of_kubernetes("MAMMOSEG_B")) == []


@pytest.mark.parametrize(
    "name",
    ["SPC_PORT", "HTTP_PORT", "SERVICE_PORT", "SCP_SERVICE_HOST", "PORT_80_TCP", "SERVICE_HOSTS"],
)
@pytest.mark.parametrize("beside", [{}, of_kubernetes("MAMMOSEG_B")])
def test_a_misspelt_setting_that_ends_as_kubernetes_own_is_a_mistake(
    name: str, beside: dict[str, str]
) -> None:
    (fault,) = unknown_variables({f"MAMMOSEG_{name}": "9000"} | beside)
    assert fault.startswith(f"MAMMOSEG_{name} is no setting")


def test_a_number_in_the_place_of_a_services_link_is_a_mistake() -> None:
    given = of_kubernetes("MAMMOSEG_SPC") | {"MAMMOSEG_SPC_PORT": "104"}
    assert unknown_variables(given) == ["MAMMOSEG_SPC_PORT is no setting; is it MAMMOSEG_SCP_PORT?"]
