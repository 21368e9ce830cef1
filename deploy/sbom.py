"""Write what an installed mammoseg is made of: a bill of materials, CycloneDX 1.6 in JSON.

    python deploy/sbom.py OUT --python /opt/mammoseg/bin/python     # of an image
    python deploy/sbom.py OUT --lock requirements/cpu.txt           # of the wheel and what it needs

Its parts are the Python packages of that environment or lock, the weights and, of an environment on
Debian, the system's packages. Needs `cyclonedx-bom` in the environment that runs it, which is
better not the one that is listed.
"""

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import DisjunctiveLicense
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

ROOT = Path(__file__).parents[1]


def python_packages(*source: str | Path) -> Bom:
    """Return Python packages, mammoseg as what they are parts of.

    Parameters
    ----------
    source
        "environment" and its Python, or "requirements" and a lock.

    Raises
    ------
    subprocess.CalledProcessError
        There is no such thing.
    """
    program = Path(sys.executable).with_name("cyclonedx-py")
    command = [program, *source, "--pyproject", ROOT / "pyproject.toml", "--of", "JSON"]
    listed = subprocess.run(command, capture_output=True, check=True)
    bom: Bom = Bom.from_json(json.loads(listed.stdout))  # type: ignore[attr-defined]
    return bom


def weights() -> Iterator[Component]:
    """Return the model files that mammoseg brings."""
    for file in sorted((ROOT / "service" / "models").glob("*.onnx")):
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        yield Component(
            type=ComponentType.MACHINE_LEARNING_MODEL,
            name=file.name,
            bom_ref=f"model:{file.name}",
            hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest)],
            licenses=[DisjunctiveLicense(id="CC-BY-4.0")],
        )


def debian_packages() -> Iterator[Component]:
    """Return the system's packages, none where it is not Debian."""
    program = shutil.which("dpkg-query")
    if program is None:
        return
    form = "${Package} ${Version} ${Architecture} ${db:Status-Status}\n"
    listed = subprocess.run(
        [program, "--show", f"--showformat={form}"], capture_output=True, text=True, check=True
    )
    for name, version, architecture, status in map(str.split, listed.stdout.splitlines()):
        if status == "installed":
            purl = PackageURL("deb", "debian", name, version, {"arch": architecture})
            yield Component(name=name, version=version, purl=purl, bom_ref=str(purl))


def main() -> None:
    """Write it, once it is valid by CycloneDX's schema."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    of = parser.add_mutually_exclusive_group(required=True)
    of.add_argument("--python", type=Path)
    of.add_argument("--lock", type=Path)
    given = parser.parse_args()
    if given.lock:
        bom = python_packages("requirements", given.lock)
    else:
        bom = python_packages("environment", given.python.absolute())
        bom.components.update(debian_packages())
    bom.components.update(weights())
    text = JsonV1Dot6(bom).output_as_string(indent=1)
    if wrong := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text):
        sys.exit(f"not valid: {wrong}")
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(text, encoding="utf-8")
    print(f"{given.out}: {len(bom.components)} components")  # noqa: T201


if __name__ == "__main__":
    main()
