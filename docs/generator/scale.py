"""docs/scale.md: what a screening programme needs, worked out from what was measured.

`python -m docs.generator.scale` writes the page anew; a test fails when it is not what is computed
here. `--images-a-year`, `--share-at-largest-site` and others print the sums of another programme.
"""

import argparse
import math
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from service.capacity.plan import MemoryPlan

ROOT = Path(__file__).parents[2]
PAGE, TEMPLATE = Path("docs/scale.md"), Path("docs/generator/scale.md.in")
MB, GB, TB = 1e6, 1e9, 1e12
ROWS, COLUMNS = 3328, 2560


@dataclass(frozen=True)
class Programme:
    """What is assumed of a programme; every one of these is to be replaced by your own.

    Attributes
    ----------
    images_a_year
        Mammograms; a woman screened has four.
    days, hours
        Days a year and hours a day in which images are made.
    peak
        Images of the peak hour, to those of the mean one.
    sites
        How many there are, each with services of its own.
    share_at_largest_site
        Of all images.
    busy
        Share of the cores that the peak hour may take: the rest is for what was not thought of.
    """

    images_a_year: float = 10_000_000
    days: float = 250
    hours: float = 10
    peak: float = 2.5
    sites: float = 3
    share_at_largest_site: float = 0.5
    busy: float = 0.6

    @property
    def images_a_day(self) -> float:
        """Images of a day."""
        return self.images_a_year / self.days

    @property
    def peak_s(self) -> float:
        """Images a second in the peak hour, everywhere."""
        return self.images_a_day / self.hours * self.peak / 3600


@dataclass(frozen=True)
class Measured:
    """Figures that were taken; where each stands is in the page's second table.

    Attributes
    ----------
    small_core_s, large_core_s
        Processor time of a whole request: 3328 x 2560, not compressed, as one tile and as four.
    jpeg_2000_core_s, jpeg_2000_half_core_s, htj2k_core_s
        Processor time that a lossless codestream costs beyond one that is not compressed, the
        second read at half its resolution.
    results_core_s, fractional_core_s
        Processor time of making a SEG and an SR, and of a fractional SEG and an SR.
    outside_core_s
        Processor time of a request outside the net: what no GPU takes away.
    one_service_s
        Mammograms a second of one service on two cores where the net took no processor time.
    seg, sr, json, fractional
        Mean bytes of results.
    native, jpeg_lossless, jpeg_ls, jpeg_2000, htj2k
        Mean bytes of an image of 3328 x 2560 and 12 bits.
    """

    small_core_s: float = 0.171
    large_core_s: float = 0.554
    jpeg_2000_core_s: float = 0.704
    jpeg_2000_half_core_s: float = 0.196
    htj2k_core_s: float = 0.053
    results_core_s: float = 0.158
    fractional_core_s: float = 0.452
    outside_core_s: float = 0.043
    one_service_s: float = 14
    seg: float = 2_352_501
    sr: float = 12_084
    json: float = 4_022
    fractional: float = 20_137
    native: float = 17_039_360
    jpeg_lossless: float = 3_956_039
    jpeg_ls: float = 2_842_849
    jpeg_2000: float = 2_958_587
    htj2k: float = 3_139_917


MACHINE_CORES, MACHINE_MIB, LEAST_MIB = 8, 4096, 8 * 288
"""Of one service; the last is the 288 MiB a core that docs/hardware.md asks for at least."""

INBOX_MIB = 10_240
"""By default."""


def sums(programme: Programme, measured: Measured) -> dict[str, str]:
    """Return every figure of the page by its name."""
    p, m = programme, measured
    site_s, rate = p.peak_s * p.share_at_largest_site, p.peak_s
    results = m.seg + m.sr

    def cores(core_s: float, images_s: float = rate) -> str:
        return f"{images_s * core_s / p.busy:.1f}"

    usual = m.small_core_s + m.results_core_s
    worst = m.large_core_s + m.jpeg_2000_core_s + m.results_core_s
    memory, least = (
        MemoryPlan.of(mib, runners=MACHINE_CORES, cores=MACHINE_CORES, max_body_mib=128)
        for mib in (MACHINE_MIB, LEAST_MIB)
    )
    site_day = p.images_a_day * p.share_at_largest_site
    full_s = INBOX_MIB * 2**20 / (site_s * results)
    return {
        "images a year": f"{p.images_a_year:,.0f}",
        "images a day": f"{p.images_a_day:,.0f}",
        "days": f"{p.days:.0f}",
        "hours": f"{p.hours:.0f}",
        "peak": f"{p.peak:g}",
        "peak hour": f"{rate * 3600:,.0f}",
        "peak a second": f"{rate:.2f}",
        "site a second": f"{site_s:.2f}",
        "sites": f"{p.sites:.0f}",
        "share": f"{p.share_at_largest_site:.0%}",
        "busy": f"{p.busy:.0%}",
        **{f"measured {name}": f"{value:g}" for name, value in asdict(m).items() if value < 100},
        **{f"MB {name}": f"{value / MB:.2f}" for name, value in asdict(m).items() if value > 100},
        **{f"KB {name}": f"{value / 1e3:.1f}" for name, value in asdict(m).items() if value > 100},
        "usual core-s": f"{usual:.2f}",
        "worst core-s": f"{worst:.2f}",
        "usual cores": cores(usual),
        "usual cores at site": cores(usual, site_s),
        "half cores": cores(usual + m.jpeg_2000_half_core_s),
        "half cores at site": cores(usual + m.jpeg_2000_half_core_s, site_s),
        "htj2k cores": cores(usual + m.htj2k_core_s),
        "htj2k cores at site": cores(usual + m.htj2k_core_s, site_s),
        "worst cores": cores(worst),
        "worst cores at site": cores(worst, site_s),
        "services": f"{math.ceil(site_s * worst / p.busy / MACHINE_CORES)}",
        "one service": f"{m.one_service_s / rate:.0f}",
        "machine cores": f"{MACHINE_CORES}",
        "memory": f"{MACHINE_MIB}",
        "least memory": f"{LEAST_MIB}",
        "least readers": f"{least.readers}",
        "least read a second": f"{least.readers / m.jpeg_2000_core_s:.1f}",
        "read a second": f"{memory.readers / m.jpeg_2000_core_s:.1f}",
        "fractional times": f"{m.fractional_core_s / m.results_core_s:.0f}",
        "readers": f"{memory.readers}",
        "reader mib": f"{memory.reader_mib}",
        "bodies mib": f"{memory.bodies_mib}",
        "pixels mib": f"{memory.pixels_mib}",
        "read again days": f"{p.images_a_year * usual / 86_400 / 16:.1f}",
        "read again worst days": f"{p.images_a_year * worst / 86_400 / 16:.1f}",
        "outside core": f"{1 / m.outside_core_s:.0f}",
        "seg a year": f"{p.images_a_year * m.seg / TB:.1f}",
        "sr a year": f"{p.images_a_year * m.sr / TB:.2f}",
        "json a year": f"{p.images_a_year * m.json / TB:.2f}",
        "fractional a year": f"{p.images_a_year * m.fractional / TB:.2f}",
        "site day results": f"{site_day * results / GB:.0f}",
        "site day sources": f"{site_day * m.jpeg_2000 / GB:.0f}",
        "site day native": f"{site_day * m.native / GB:.0f}",
        "INBOX": f"{INBOX_MIB}",
        "inbox minutes": f"{full_s / 60:.0f}",
        "inbox alert minutes": f"{0.8 * full_s / 60:.0f}",
        "inbox wanted": f"{site_day * results / 0.8 / 2**20:,.0f}",
        "sr inbox hours": f"{INBOX_MIB * 2**20 / (site_s * m.sr) / 3600:.0f}",
        **{
            f"Mbit {name}": f"{site_s * getattr(m, name) * 8 / 1e6:.0f}"
            for name in ("native", "jpeg_lossless", "jpeg_ls", "jpeg_2000", "htj2k")
        },
        "Mbit results": f"{site_s * results * 8 / 1e6:.0f}",
        "Mbit sr": f"{site_s * m.sr * 8 / 1e6:.2f}",
    }


def page(programme: Programme = Programme(), measured: Measured = Measured()) -> str:
    """Return the page."""
    text = (ROOT / TEMPLATE).read_text("utf-8")
    for name, value in sums(programme, measured).items():
        text = text.replace("{{" + name + "}}", value)
    return text


def main() -> int:
    """Write the page; or print the sums of another programme."""
    parser = argparse.ArgumentParser(description=__doc__)
    for field in fields(Programme):
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=float)
    given: Mapping[str, float] = {
        name: value for name, value in vars(parser.parse_args()).items() if value is not None
    }
    if given:
        for name, value in sums(Programme(**given), Measured()).items():
            sys.stdout.write(f"{name:28} {value}\n")
    else:
        (ROOT / PAGE).write_text(page(), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
