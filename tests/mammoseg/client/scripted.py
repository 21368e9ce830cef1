"""A service that is scripted: answers to requests, and what was asked."""

from typing import Any

import httpx

from mammoseg.client import Client


def result_document(**changes: Any) -> dict[str, Any]:
    """A `SegmentationResult` of 2 x 3 pixels, as openapi.yaml has it."""
    document = {
        "model": {"id": "a", "name": "identity", "version": "0.0.1", "sha256": "ab" * 32},
        "image": {
            "sop_instance_uid": "1.2.3",
            "rows": 2,
            "columns": 3,
            "frame": None,
            "pixel_spacing_mm": [0.1, 0.2],
            "laterality": "L",
            "view_position": "CC",
            "intent": "presentation",
        },
        "has_mask": {
            "score": 0.75,
            "threshold": 0.5,
            "chosen_for_sensitivity": None,
            "decision": True,
        },
        "mask": {
            "encoding": "coco_rle",
            "size": [2, 3],
            "counts": [1, 2, 3],
            "area_mm2": 0.04,
            "fraction_of_breast": 0.5,
            "gated": False,
        },
        "regions": [
            {
                "bbox": [0, 0, 2, 2],
                "centroid": [0.5, 0.5],
                "contour": [[0, 1], [1, 0]],
                "area_mm2": 0.04,
                "max_probability": 0.9,
                "mean_probability": 0.8,
                "selected": True,
                "label": "mass",
            }
        ],
        "probability_map": {
            "bbox": [0, 0, 3, 2],
            "size": [2, 3],
            "minimum_region_pixels": 1.5,
        },
        "renders": {"mask": None, "heatmap": None, "overlay": None},
        "warnings": [{"code": "spacing-assumed", "detail": "assumed"}],
        "timing_ms": {"net": 1.0},
    }
    return document | changes


def problem_answer(status: int, code: str, **headers: str) -> httpx.Response:
    document = {"type": "", "title": "No", "status": status, "code": code, "detail": "why"}
    return httpx.Response(
        status,
        json=document | {"request_id": "r-1"},
        headers={"Content-Type": "application/problem+json"} | headers,
    )


class Script:
    """Gives one answer after another; the last for ever."""

    def __init__(self, answers: tuple[httpx.Response | Exception, ...]) -> None:
        self._answers = list(answers)
        self.requests: list[httpx.Request] = []
        self.pauses_s: list[float] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.requests.append(request)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def sleep(self, seconds: float) -> None:
        self.pauses_s.append(seconds)

    def client(self, **options: Any) -> Client:
        return Client(
            "http://service",
            transport=httpx.MockTransport(self),
            sleep=self.pauses_s.append,
            **options,
        )
