"""A signature covers every byte, by one of the keys, in the form of OpenSSF Model Signing."""

import base64
import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from service.errors import ContractError, SignatureError
from service.inference import model_file
from service.inference.model_file import ModelFile
from service.inference.session import Session
from service.inference.signature import (
    HASHES,
    KeyNeedsPassword,
    PublicKey,
    _authenticated,
    check_signature,
    sign,
)
from service.inference.signature_path import signature_path
from service.startup.models import open_net
from tests.identity_net import write_identity_net, write_scored_net
from tests.service.inference.signed import HELLO, new_key, public, signed_file

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("curve", [ec.SECP256R1, ec.SECP384R1, ec.SECP521R1])
def test_what_a_key_signed_is_known_by_its_public_key(
    curve: Callable[[], ec.EllipticCurve], tmp_path: Path
) -> None:
    key = new_key(tmp_path, kind=ec.generate_private_key(curve()))
    path = signed_file(tmp_path, key)
    assert check_signature(path, HELLO, public(key)).path == key.with_suffix(".pub")


def test_any_of_several_keys_may_have_signed_so_that_keys_can_be_rotated(tmp_path: Path) -> None:
    old, new = new_key(tmp_path, "old"), new_key(tmp_path, "new")
    for signer in (old, new):
        path = signed_file(tmp_path, signer)
        found = check_signature(path, HELLO, public(old, new))
        assert found.path == signer.with_suffix(".pub")


def test_a_strangers_signature_is_none(tmp_path: Path) -> None:
    path = signed_file(tmp_path, new_key(tmp_path, "stranger"))
    with pytest.raises(SignatureError, match="made by none of the keys"):
        check_signature(path, HELLO, public(new_key(tmp_path, "ours")))


@pytest.mark.parametrize("content", [b"hellp\n", b"", b"hello\n\0", b"hello"])
def test_one_other_byte_and_the_signature_does_not_fit(content: bytes, tmp_path: Path) -> None:
    key = new_key(tmp_path)
    with pytest.raises(SignatureError, match="is of other bytes"):
        check_signature(signed_file(tmp_path, key), content, public(key))


def test_a_signature_of_another_model_is_none_of_this_one(tmp_path: Path) -> None:
    key = new_key(tmp_path)
    path = signed_file(tmp_path, key)
    signature_path(path).write_bytes(sign(path, b"another", key))
    with pytest.raises(SignatureError, match="is of other bytes"):
        check_signature(path, HELLO, public(key))


def test_a_file_without_a_signature_is_refused(tmp_path: Path) -> None:
    key = new_key(tmp_path)
    path = signed_file(tmp_path, key)
    signature_path(path).unlink()
    with pytest.raises(SignatureError, match=r"cannot read the signature .*net\.onnx\.sig"):
        check_signature(path, HELLO, public(key))


def changed(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    signature = signature_path(path)
    bundle = json.loads(signature.read_bytes())
    change(bundle)
    signature.write_text(json.dumps(bundle))


@pytest.mark.parametrize(
    "change",
    [
        lambda bundle: bundle.pop("dsseEnvelope"),
        lambda bundle: bundle.update(mediaType="text/plain"),
        lambda bundle: bundle["dsseEnvelope"].update(payloadType="text/plain"),
        lambda bundle: bundle["dsseEnvelope"].update(signatures=[]),
        lambda bundle: bundle["dsseEnvelope"].update(payload="!"),
        lambda bundle: bundle["dsseEnvelope"].update(payload=""),
        lambda bundle: bundle["dsseEnvelope"]["signatures"][0].update(sig="AAAA"),
        lambda bundle: bundle["dsseEnvelope"]["signatures"][0].update(sig="!"),
        lambda bundle: bundle["dsseEnvelope"]["signatures"][0].update(sig=""),
    ],
)
def test_a_signature_that_was_tampered_with_is_none(
    change: Callable[[dict[str, Any]], object], tmp_path: Path
) -> None:
    key = new_key(tmp_path)
    path = signed_file(tmp_path, key)
    changed(path, change)
    with pytest.raises(SignatureError):
        check_signature(path, HELLO, public(key))


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"[]", b"{}", b"null", b"{" * 70_000])
def test_what_is_no_signature_at_all_is_refused(content: bytes, tmp_path: Path) -> None:
    key = new_key(tmp_path)
    path = signed_file(tmp_path, key)
    signature_path(path).write_bytes(content)
    with pytest.raises(SignatureError):
        check_signature(path, HELLO, public(key))


@pytest.mark.parametrize(
    "change",
    [
        lambda one: one.update(predicateType="https://slsa.dev/provenance/v1"),
        lambda one: one.update(_type="https://in-toto.io/Statement/v0.1"),
        lambda one: one["predicate"]["resources"].clear(),
        lambda one: one["predicate"]["resources"].append(one["predicate"]["resources"][0]),
        lambda one: one["predicate"]["resources"][0].update(name="weights.bin"),
        lambda one: one["predicate"]["resources"][0].update(algorithm="blake2b"),
        lambda one: one["predicate"]["serialization"].update(method="shards"),
        lambda one: one.pop("predicate"),
    ],
)
def test_a_signed_statement_on_something_else_than_the_whole_file_is_refused(
    change: Callable[[dict[str, Any]], object], tmp_path: Path
) -> None:
    key = new_key(tmp_path)
    path = signed_file(tmp_path, key)
    statement = json.loads(
        base64.b64decode(json.loads(signature_path(path).read_bytes())["dsseEnvelope"]["payload"])
    )
    change(statement)
    payload = json.dumps(statement).encode()
    private = serialization.load_pem_private_key(key.read_bytes(), None)
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    signed = private.sign(_authenticated(payload), ec.ECDSA(HASHES["secp256r1"]()))
    changed(
        path,
        lambda bundle: bundle["dsseEnvelope"].update(
            payload=base64.b64encode(payload).decode(),
            signatures=[{"sig": base64.b64encode(signed).decode(), "keyid": ""}],
        ),
    )
    with pytest.raises(SignatureError, match=r"does not sign one whole file|no statement"):
        check_signature(path, HELLO, public(key))


@pytest.mark.parametrize(
    "make",
    [
        lambda: rsa.generate_private_key(65537, 2048),
        ed25519.Ed25519PrivateKey.generate,
        lambda: ec.generate_private_key(ec.SECP256K1()),
    ],
)
def test_keys_of_other_kinds_are_named_as_such(make: Callable[[], Any], tmp_path: Path) -> None:
    key = new_key(tmp_path, kind=make())
    with pytest.raises(SignatureError, match="ECDSA on P-256"):
        PublicKey.read(key.with_suffix(".pub"))
    with pytest.raises(SignatureError, match="ECDSA on P-256"):
        sign(tmp_path / "net.onnx", HELLO, key)


def test_a_private_key_may_have_a_password(tmp_path: Path) -> None:
    key = new_key(tmp_path, password=b"secret")
    path = tmp_path / "net.onnx"
    with pytest.raises(KeyNeedsPassword):
        sign(path, HELLO, key)
    with pytest.raises(SignatureError, match="no private key in PEM, or the password is another"):
        sign(path, HELLO, key, b"wrong")
    signature_path(path).write_bytes(sign(path, HELLO, key, b"secret"))
    assert check_signature(path, HELLO, public(key))


@pytest.mark.parametrize("content", [b"", b"no key", b"-----BEGIN PUBLIC KEY-----\nAAAA\n"])
def test_a_file_that_is_no_key_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "key.pub").write_bytes(content)
    with pytest.raises(SignatureError, match="no public key in PEM"):
        PublicKey.read(tmp_path / "key.pub")
    with pytest.raises(SignatureError, match="no private key in PEM"):
        sign(tmp_path / "net.onnx", HELLO, tmp_path / "key.pub")
    with pytest.raises(SignatureError, match="cannot read the public key"):
        PublicKey.read(tmp_path / "absent.pub")


def test_nothing_of_an_unsigned_file_is_looked_into(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_file, "check_content", lambda *_: pytest.fail("it was parsed"))
    key = new_key(tmp_path)
    path = tmp_path / "net.onnx"
    path.write_bytes(b"\x0a\xff\xff")
    with pytest.raises(SignatureError):
        ModelFile.read(path, public(key))


def test_what_was_checked_is_what_is_opened_even_if_the_file_changes_in_between(
    tmp_path: Path,
) -> None:
    path, key = write_identity_net(tmp_path / "net.onnx"), new_key(tmp_path)
    content = path.read_bytes()
    signature_path(path).write_bytes(sign(path, content, key))
    file = ModelFile.read(path, public(key))
    write_scored_net(path, -3.0)
    assert Session.open(file).contract.golden.has_mask_logit == 2.0
    with closing(open_net(file, runners=2)) as net:
        assert net.session.sha256 == file.sha256
    with pytest.raises(SignatureError):
        ModelFile.read(path, public(key))


def test_a_model_is_read_once_however_many_sessions_it_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, reads = write_identity_net(tmp_path / "net.onnx"), []
    read = model_file.read_bytes

    def counted(path: Path) -> bytes:
        reads.append(path)
        return read(path)

    monkeypatch.setattr(model_file, "read_bytes", counted)
    net = open_net(path, runners=2)
    net.close()
    assert reads == [path]


def test_without_keys_a_file_is_still_held_against_all_other_bounds(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(b"\x0a\xff\xff")
    with pytest.raises(ContractError, match="is not an ONNX model"):
        ModelFile.read(path)


def test_the_package_of_openssf_verifies_our_signatures_and_we_verify_its(tmp_path: Path) -> None:
    pytest.importorskip("model_signing", reason="needs the package model-signing")
    key = new_key(tmp_path)
    path = signed_file(tmp_path, key)

    def ask(*arguments: object) -> None:
        command = [sys.executable, "-m", "model_signing", *map(str, arguments)]
        run = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert run.returncode == 0, run.stderr

    pair = ("--public_key", key.with_suffix(".pub"), "--signature", signature_path(path))
    ask("verify", "key", path, *pair)
    signature_path(path).unlink()
    ask("sign", "key", path, "--private_key", key, "--signature", signature_path(path))
    assert check_signature(path, HELLO, public(key))


def test_a_signature_that_the_package_of_openssf_made_is_good(tmp_path: Path) -> None:
    folder = Path(__file__).parent / "signed_by_openssf"
    path = tmp_path / "net.onnx"
    signature_path(path).write_bytes((folder / "net.onnx.sig").read_bytes())
    keys = [PublicKey.read(folder / "key.pub")]
    assert check_signature(path, HELLO, keys)
    with pytest.raises(SignatureError):
        check_signature(path, b"other", keys)
