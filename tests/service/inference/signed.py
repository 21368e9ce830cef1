"""Pairs of keys, and a file that one of them signed."""

from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from service.inference.signature import PublicKey, sign
from service.inference.signature_path import signature_path

HELLO = b"hello\n"


def new_key(folder: Path, name: str = "key", kind: Any = None, password: bytes = b"") -> Path:
    """Make a pair of keys, and return the private one; the public one ends in .pub."""
    key = kind or ec.generate_private_key(ec.SECP256R1())
    hidden = serialization.BestAvailableEncryption(password) if password else None
    path = folder / f"{name}.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            hidden or serialization.NoEncryption(),
        )
    )
    path.with_suffix(".pub").write_bytes(
        key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    return path


def signed_file(folder: Path, key: Path) -> Path:
    path = folder / "net.onnx"
    path.write_bytes(HELLO)
    signature_path(path).write_bytes(sign(path, HELLO, key))
    return path


def public(*keys: Path) -> list[PublicKey]:
    return [PublicKey.read(key.with_suffix(".pub")) for key in keys]
