"""How good is a file? Asked of `service.segmenter`, so that the number we report is the one served.

`run` asks, `compare` holds an answer against the truth, `figures`, `strata` and `targets` count.
"""

from model_export.evaluation.bootstrap import Figure
from model_export.evaluation.evaluator import Timing, ask
from model_export.evaluation.image_result import ImageResult
from model_export.evaluation.parallel import in_parallel
from model_export.evaluation.run import Evaluation, Options, evaluate

__all__ = [
    "Evaluation",
    "Figure",
    "ImageResult",
    "Options",
    "Timing",
    "ask",
    "evaluate",
    "in_parallel",
]
