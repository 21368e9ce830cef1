"""What decodes images may be shipped to anybody: nothing under the GPL is in the image."""

import re
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

import imagecodecs
import pytest

pytestmark = pytest.mark.integration

LOCKS = [Path(__file__).parents[3] / "requirements" / f"{name}.txt" for name in ("cpu", "gpu")]

NOT_HERE = {"pylibjpeg-libjpeg", "x265", "pylibjpeg"}
"""What pydicom is mostly given to decode JPEG: libjpeg is under the GPL."""

GPL = re.compile(r"(?<!L)GPL|(?<!Lesser )(?<!Library )General Public", re.IGNORECASE)


def locked(lock: Path) -> set[str]:
    return set(re.findall(r"^([a-z0-9][a-z0-9._-]*)==", lock.read_text(), re.MULTILINE))


def licence_of(package: str) -> str:
    try:
        about = metadata(package)
    except PackageNotFoundError:
        return ""
    classifiers = [each for each in about.get_all("Classifier") or () if "License" in each]
    stated = [(about.get_all(name) or [""])[0] for name in ("License", "License-Expression")]
    return "\n".join([*classifiers, *stated[0].splitlines()[:1], stated[1]])


def test_the_gpl_is_told_from_the_lesser_one() -> None:
    for text in ("GNU General Public License v3 (GPLv3)", "GPL-2.0-only", "AGPL-3.0"):
        assert GPL.search(text)
    for text in ("LGPL-2.1-or-later", "GNU Lesser General Public License v3 (LGPLv3)", "MIT"):
        assert not GPL.search(text)


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_no_package_in_the_image_is_under_the_gpl(lock: Path) -> None:
    packages = locked(lock)
    assert "imagecodecs" in packages and not packages & NOT_HERE
    assert sum(bool(licence_of(package)) for package in packages) > 20
    assert {package for package in packages if GPL.search(licence_of(package))} == set()


def test_the_decoders_licences_come_with_them() -> None:
    texts = {
        file.name: file.read_text(errors="replace")
        for file in (Path(imagecodecs.__file__).parent / "licenses").iterdir()
    }
    for library in ("charls", "libjpeg-turbo", "libpng", "libtiff", "openjpeg"):
        assert not GPL.search(texts[f"LICENSE-{library}"])
    assert not GPL.search(texts["LICENSE_openjph"])
