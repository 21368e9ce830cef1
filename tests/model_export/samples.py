"""Small data sets in their sources' own formats, and packed samples, made of phantoms."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from model_export.datasets.cache import Packed
from model_export.phantom import breast_phantom


def disc(side: int, row: int, column: int, radius: int) -> NDArray[np.uint8]:
    """Return a picture of 0 with a disc of 255."""
    mask = np.zeros((side, side), np.uint8)
    cv2.circle(mask, (column, row), radius, 255, cv2.FILLED)
    return mask


def write_cdd_cesm(folder: Path, patients: int = 2) -> None:
    """Write one image a patient, 256 px; the last patient's outline is empty."""
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    rows = ["name,patient,side,view,density,birads,findings,machine,mask_fraction,components,scale"]
    for number in range(patients):
        name = f"P{number}_L_DM_MLO"
        rows.append(f"{name},P{number},L,MLO,B,4,mass,1,0.01,1,0.25")
        cv2.imwrite(str(folder / "images" / f"{name}.jpg"), breast_phantom(256, seed=number))
        drawn = disc(256, 92, 56, 20) * np.uint8(number < patients - 1)
        cv2.imwrite(str(folder / "masks" / f"{name}.png"), drawn)
    (folder / "manifest.csv").write_text("\n".join(rows) + "\n")


def write_cbis_ddsm_800(folder: Path) -> None:
    """Write a training and a test image, 160 px, of films 3000 x 5000 and 4000 x 5000."""
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    images = ["name,part,patient,laterality,view,density,pathology,original_columns,original_rows"]
    boxes = ["name,x,y,width,height,pathology"]
    for name, part, columns in (("1_LEFT_CC", "train", 3000), ("2_RIGHT_MLO", "test", 4000)):
        number, side, view = name.split("_")
        images.append(f"{name},{part},P_{number},{side[0]},{view},2,BENIGN,{columns},5000")
        boxes.append(f"{name},40,50,24,16,BENIGN")
        film = cv2.resize(breast_phantom(200), (160, 160), interpolation=cv2.INTER_AREA)
        cv2.imwrite(str(folder / "images" / f"{name}.jpg"), film)
        mask = np.zeros((160, 160), np.uint8)
        cv2.ellipse(mask, (52, 58), (12, 8), 0, 0, 360, 255, cv2.FILLED)
        cv2.imwrite(str(folder / "masks" / f"{name}.png"), mask)
    (folder / "images.csv").write_text("\n".join(images) + "\n")
    (folder / "boxes.csv").write_text("\n".join(boxes) + "\n")


def write_mini_mias(folder: Path) -> None:
    """Write a normal, a circle, two circles, a pixel mask, and a finding without a place."""
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    rows = """id,patient,tissue,abnormality,severity,x,y_from_top,radius
mdb001,1,D,NORM,,,,
mdb002,1,D,CIRC,B,60,90,12
mdb003,2,F,CIRC,B,60,90,12
mdb003,2,F,SPIC,M,90,150,20
mdb004,2,F,MISC,M,40,100,9
mdb005,3,G,CALC,B,,,
"""
    (folder / "findings.csv").write_text(rows)
    for number in range(1, 6):
        cv2.imwrite(str(folder / "images" / f"mdb00{number}.png"), breast_phantom(256, seed=number))
    cv2.imwrite(str(folder / "masks" / "mdb004.png"), disc(256, 100, 40, 9))


def write_rsna_640(folder: Path, patients: int = 3) -> None:
    """Write one image a patient: every third from 1 a cancer, even ones inverted, 3 empty."""
    (folder / "images").mkdir(parents=True)
    rows = ["name,patient,cancer"]
    for number in range(1, patients + 1):
        rows.append(f"{number}_1,{number},{int(number % 3 == 1)}")
        breast = breast_phantom(640) if number != 3 else np.zeros((640, 640), np.uint8)
        pixels = breast if number % 2 else 255 - breast
        cv2.imwrite(str(folder / "images" / f"{number}_1.jpg"), pixels)
    (folder / "labels.csv").write_text("\n".join(rows) + "\n")


def write_all(data: Path) -> Path:
    """Write the three sources side by side and give the folder."""
    write_cdd_cesm(data / "cdd-cesm", patients=12)
    write_mini_mias(data / "mini-mias")
    write_rsna_640(data / "rsna-640", patients=25)
    return data


def packed(
    source: str, name: str, *, has_lesion: bool, drawn: bool = True, side: int = 128
) -> Packed:
    """Return a phantom as a packed sample; its lesion is a white disc at (46, 28) of radius 8."""
    lesion = None
    if drawn:
        lesion = (disc(side, 46, 28, 8) // 255) * np.uint8(has_lesion)
    pixels = np.minimum(breast_phantom(side), 150)
    if has_lesion:
        pixels = np.maximum(pixels, disc(side, 46, 28, 8))
    return Packed(
        source=source,
        name=name,
        patient=name,
        has_lesion=has_lesion,
        annotation="pixel_mask" if drawn else "image_label",
        pixels=pixels,
        breast=(pixels > 0).astype(np.uint8),
        lesion=lesion,
        lesion_fraction=0.0 if lesion is None else float(lesion.mean()),
    )


def packed_all() -> list[Packed]:
    """Return two samples a source: CDD-CESM only positives, RSNA without outlines."""
    return [
        packed("cdd-cesm", "a", has_lesion=True),
        packed("cdd-cesm", "b", has_lesion=True),
        packed("mini-mias", "c", has_lesion=True),
        packed("mini-mias", "d", has_lesion=False),
        packed("rsna-640", "e", has_lesion=True, drawn=False),
        packed("rsna-640", "f", has_lesion=False, drawn=False),
    ]


def bright_half(name: str, seed: int) -> Packed:
    """Return noise, 256 x 128, brighter in the upper half; there lies a lesion that cannot be seen.

    Crops around lesions are brighter than others, for a reason that is none.
    """
    rng = np.random.default_rng(seed)
    pixels = rng.integers(60, 100, (256, 128)).astype(np.uint8)
    pixels[:128] += rng.integers(40, 60, dtype=np.uint8)
    lesion = np.zeros_like(pixels)
    row, column = rng.integers(40, 90, size=2)
    lesion[row - 8 : row + 8, column - 8 : column + 8] = 1
    breast = np.ones_like(pixels)
    base = packed("cdd-cesm", name, has_lesion=True)
    return replace(base, pixels=pixels, breast=breast, lesion=lesion, lesion_fraction=1 / 128)
