"""POST a DICOM file, read score and regions, save the mask.

python segment.py http://127.0.0.1:8000 mammogram.dcm mask.png
"""

import sys

from mammoseg.client import Client, ClientError, ProblemError


def main(url: str, file: str, mask: str) -> int:
    """Segment one file."""
    try:
        # 503 is tried again after as many seconds as Retry-After says.
        with Client(url) as client:
            result = client.segment(file)
    except ProblemError as error:
        problem = error.problem
        said = f"{problem.status} {problem.code}: {problem.detail} [request {problem.request_id}]"
        print(said, file=sys.stderr)  # noqa: T201
        return 1
    except (ClientError, OSError) as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    lines = [f"score {result.has_mask.score}, threshold {result.has_mask.threshold}"]
    for region in result.regions:
        if region.selected:
            lines.append(f"region {','.join(map(str, region.bbox))} p {region.max_probability}")
    lines += [f"warning {warning.code}: {warning.detail}" for warning in result.warnings]
    print("\n".join(lines))  # noqa: T201
    # bool, shape (rows, columns) of the image: `result.mask`.
    result.save_mask(mask)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
