"""Signatures of model files, made and checked with keys of one's own, without a network.

The format is that of OpenSSF Model Signing 1.0 for one file: a Sigstore bundle, version 0.3, around
a DSSE envelope, around an in-toto statement that holds the file's SHA-256. What `model_signing sign
key` writes is accepted here, and the other way round. The package itself is not used: it brings 34
others, most of them for signing in over the web.
"""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from service.errors import SignatureError
from service.inference.signature_path import signature_path
from service.system.passing import may_pass

MAX_FILE_BYTES = 2**16
"""Of a signature or a key; they have one or two thousand."""

BUNDLE_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://model_signing/signature/v1.0"
WHOLE_FILE = "."
"""What Model Signing calls the one file of a model that is one file."""

HASHES: dict[str, type[hashes.HashAlgorithm]] = {
    "secp256r1": hashes.SHA256,
    "secp384r1": hashes.SHA384,
    "secp521r1": hashes.SHA512,
}
"""Of each curve that Model Signing knows (ECDSA, FIPS 186-5)."""

CURVES = "ECDSA on P-256, P-384 or P-521"


class KeyNeedsPassword(SignatureError):
    """The private key is encrypted, and no password was given."""


class _Signature(msgspec.Struct, frozen=True):
    sig: str
    keyid: str = ""


class _Envelope(msgspec.Struct, frozen=True, rename="camel"):
    payload: str
    payload_type: str
    signatures: tuple[_Signature, ...]


class _Bundle(msgspec.Struct, frozen=True, rename="camel"):
    media_type: str
    verification_material: dict[str, Any]
    dsse_envelope: _Envelope


class _Resource(msgspec.Struct, frozen=True):
    name: str
    algorithm: str
    digest: str


class _Predicate(msgspec.Struct, frozen=True):
    serialization: dict[str, Any]
    resources: tuple[_Resource, ...]


class _Subject(msgspec.Struct, frozen=True):
    name: str
    digest: dict[str, str]


class _Statement(msgspec.Struct, frozen=True, rename="camel"):
    subject: tuple[_Subject, ...]
    predicate_type: str
    predicate: _Predicate
    type: str = msgspec.field(name="_type")


@dataclass(frozen=True, slots=True, eq=False)
class PublicKey:
    """A key that may have signed a model.

    Attributes
    ----------
    path
        Where it was read.
    key
        Itself.
    """

    path: Path
    key: ec.EllipticCurvePublicKey

    @classmethod
    def read(cls, path: Path) -> "PublicKey":
        """Read a public key, PEM.

        Raises
        ------
        SignatureError
            It cannot be read, or is none that models are signed with.
        """
        try:
            key = load_pem_public_key(_read(path, "public key"))
        except (ValueError, UnsupportedAlgorithm):
            raise SignatureError(f"{path} is no public key in PEM") from None
        if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name not in HASHES:
            raise SignatureError(f"{path} is no key for signatures of models: {CURVES}")
        return cls(path, key)


def sign(model: Path, content: bytes, private_key: Path, password: bytes | None = None) -> bytes:
    """Return the signature of a model file.

    Parameters
    ----------
    model
        Only its name is used.
    content
        All its bytes.
    private_key
        PEM.
    password
        Of the key; None where it has none.

    Raises
    ------
    SignatureError
        The key cannot be read, needs another password, or is none for signatures of models.
    KeyNeedsPassword
        It needs one.
    """
    try:
        key = load_pem_private_key(_read(private_key, "private key"), password)
    except TypeError:
        if password is None:
            raise KeyNeedsPassword(f"the private key {private_key} needs a password") from None
        raise SignatureError(f"the private key {private_key} has no password") from None
    except (ValueError, UnsupportedAlgorithm):
        why = "" if password is None else ", or the password is another"
        raise SignatureError(f"{private_key} is no private key in PEM{why}") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name not in HASHES:
        raise SignatureError(f"{private_key} is no key for signatures of models: {CURVES}")
    payload = msgspec.json.encode(_statement(model.name, content))
    signed = key.sign(_authenticated(payload), ec.ECDSA(HASHES[key.curve.name]()))
    envelope = _Envelope(
        _base64(payload), PAYLOAD_TYPE, (_Signature(base64.b64encode(signed).decode()),)
    )
    material = {"publicKey": {"hint": _hint(key.public_key())}, "tlogEntries": []}
    return msgspec.json.encode(_Bundle(BUNDLE_TYPE, material, envelope))


def check_signature(model: Path, content: bytes, keys: Sequence[PublicKey]) -> PublicKey:
    """Return the key that signed a model file.

    Parameters
    ----------
    model
        The file; its signature lies beside it.
    content
        All its bytes: those that are opened afterwards.
    keys
        Any of them may have signed.

    Raises
    ------
    SignatureError
        There is no signature, none of these keys made it, or it is of other bytes.
    """
    path = signature_path(model)
    envelope = _envelope(path)
    try:
        payload = base64.b64decode(envelope.payload, validate=True)
        signed = [base64.b64decode(one.sig, validate=True) for one in envelope.signatures]
    except ValueError:
        raise SignatureError(f"{path} is no signature of a model") from None
    signer = next((key for key in keys if _has_signed(key, payload, signed)), None)
    if signer is None:
        raise SignatureError(f"the signature {path} was made by none of the keys in MODEL_KEY")
    # Only now is anything that it says believed.
    try:
        statement = msgspec.json.decode(payload, type=_Statement)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise SignatureError(f"{path} signs no statement on a model") from None
    if _signed_digest(statement, path) != hashlib.sha256(content).hexdigest():
        raise SignatureError(f"the signature {path} is of other bytes than those of {model}")
    return signer


def _read(path: Path, what: str) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        reason = f"cannot read the {what} {path}: {error.strerror}"
        raise SignatureError(reason, may_pass=may_pass(error)) from error
    if len(content) > MAX_FILE_BYTES:
        raise SignatureError(f"{path} is too large for a {what}")
    return content


def _envelope(path: Path) -> _Envelope:
    try:
        bundle = msgspec.json.decode(_read(path, "signature"), type=_Bundle)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise SignatureError(f"{path} is no signature of a model") from None
    if bundle.media_type != BUNDLE_TYPE or bundle.dsse_envelope.payload_type != PAYLOAD_TYPE:
        raise SignatureError(f"{path} is no signature of a model in the form of Model Signing 1.0")
    return bundle.dsse_envelope


def _statement(name: str, content: bytes) -> _Statement:
    digest = hashlib.sha256(content)
    return _Statement(
        subject=(_Subject(name, {"sha256": _root([digest.hexdigest()])}),),
        predicate_type=PREDICATE_TYPE,
        predicate=_Predicate(
            {"method": "files", "hash_type": "sha256", "allow_symlinks": False, "ignore_paths": []},
            (_Resource(WHOLE_FILE, "sha256", digest.hexdigest()),),
        ),
        type=STATEMENT_TYPE,
    )


def _signed_digest(statement: _Statement, path: Path) -> str:
    """Return the SHA-256 that a statement vouches for."""
    resources = statement.predicate.resources
    if (
        (statement.type, statement.predicate_type) != (STATEMENT_TYPE, PREDICATE_TYPE)
        or [(each.name, each.algorithm) for each in resources] != [(WHOLE_FILE, "sha256")]
        or statement.predicate.serialization.get("method") != "files"
    ):
        raise SignatureError(f"{path} does not sign one whole file by its SHA-256")
    return resources[0].digest


def _root(digests: Sequence[str]) -> str:
    return hashlib.sha256(b"".join(map(bytes.fromhex, digests))).hexdigest()


def _has_signed(key: PublicKey, payload: bytes, signed: Sequence[bytes]) -> bool:
    algorithm = ec.ECDSA(HASHES[key.key.curve.name]())
    for signature in signed:
        try:
            key.key.verify(signature, _authenticated(payload), algorithm)
        except InvalidSignature:
            continue
        return True
    return False


def _authenticated(payload: bytes) -> bytes:
    """Return what is signed: DSSE's pre-authentication encoding, version 1."""
    kind = PAYLOAD_TYPE.encode()
    return b" ".join((b"DSSEv1", b"%d" % len(kind), kind, b"%d" % len(payload), payload))


def _hint(key: ec.EllipticCurvePublicKey) -> str:
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(pem).hexdigest()


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
