"""Files in bundles of a bounded size, and back. Standard library only, for a bare machine."""

import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

MANIFEST = "manifest.json"
TAR_BYTES = 4096
"""Of a tar file beside its contents, a member at most; twice that ends it."""


def pack(files: Mapping[str, Path], folder: Path, limit: int) -> list[Path]:
    """Write bundles that hold the files, whole or in pieces.

    Parameters
    ----------
    files
        By the name that each is to have, a path with slashes.
    folder
        Where the bundles go.
    limit
        Bytes of a bundle at most.

    Raises
    ------
    ValueError
        The limit leaves no room for anything.
    """
    table = {name: _described(path) for name, path in files.items()}
    listed = json.dumps(table).encode("utf-8")
    room = limit - len(listed) - 4 * TAR_BYTES - tarfile.RECORDSIZE
    if room <= 0:
        raise ValueError("the limit leaves no room")
    folder.mkdir(parents=True, exist_ok=True)
    bundles: list[Path] = []
    left, archive = 0, None
    for name, path in files.items():
        for index, piece in enumerate(_pieces(path, room - TAR_BYTES)):
            if archive is None or len(piece) + TAR_BYTES > left:
                if archive is not None:
                    archive.close()
                bundles.append(folder / f"bundle-{len(bundles):02d}.tar")
                archive, left = tarfile.open(bundles[-1], "w"), room  # noqa: SIM115
                _add(archive, MANIFEST, listed)
            _add(archive, f"{name}.{index:03d}", piece)
            left -= len(piece) + TAR_BYTES
    if archive is not None:
        archive.close()
    return bundles


def unpack(bundles: Iterable[Path], folder: Path) -> dict[str, Path]:
    """Put the files of all bundles together again, and check them.

    Raises
    ------
    ValueError
        A piece is missing, or a file is not what was packed.
    """
    pieces = folder / "pieces"
    for bundle in bundles:
        with tarfile.open(bundle) as archive:
            archive.extractall(pieces, filter="data")
    if not (pieces / MANIFEST).is_file():
        raise ValueError("there is no bundle")
    table = json.loads((pieces / MANIFEST).read_text(encoding="utf-8"))
    files = {}
    for name, expected in table.items():
        path = folder / "files" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as joined:
            for piece in sorted((pieces / name).parent.glob(f"{Path(name).name}.[0-9][0-9][0-9]")):
                joined.write(piece.read_bytes())
                piece.unlink()
        if _described(path) != expected:
            raise ValueError(f"{name} is not whole: is a bundle missing?")
        files[name] = path
    return files


def _described(path: Path) -> dict[str, object]:
    with path.open("rb") as file:
        return {
            "bytes": path.stat().st_size,
            "sha256": hashlib.file_digest(file, "sha256").hexdigest(),
        }


def _pieces(path: Path, most: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        yield file.read(most)
        while piece := file.read(most):
            yield piece


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))
