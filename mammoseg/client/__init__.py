"""A client of the service: files in, typed results out. It needs httpx, numpy and pillow alone.

from mammoseg.client import Client

with Client("http://127.0.0.1:8000") as client:
    result = client.segment("mammogram.dcm")
    print(result.has_mask.score, result.mask.shape)
"""

from mammoseg.client.asynchronous import AsyncClient
from mammoseg.client.errors import (
    AccessDenied,
    AnswerBroken,
    Busy,
    ClientError,
    DeadlineExceeded,
    DeviceFailed,
    FormNotAvailable,
    ImageTooLarge,
    ImageUnreadable,
    ImageUnsuitable,
    MediaUnsupported,
    NotOneStudy,
    Problem,
    ProblemError,
    RequestInvalid,
    ServiceFailed,
    ServiceUnreachable,
)
from mammoseg.client.files import ImageFile
from mammoseg.client.others import DicomFile, ModelDescription
from mammoseg.client.results import (
    HasMask,
    Image,
    Model,
    ProbabilityMap,
    Region,
    ResultWarning,
    SegmentationResult,
)
from mammoseg.client.retry import RetryPolicy
from mammoseg.client.study import Breast, Study, StudyEntry, View
from mammoseg.client.synchronous import Client

__all__ = [
    "AccessDenied",
    "AnswerBroken",
    "AsyncClient",
    "Breast",
    "Busy",
    "Client",
    "ClientError",
    "DeadlineExceeded",
    "DeviceFailed",
    "DicomFile",
    "FormNotAvailable",
    "HasMask",
    "Image",
    "ImageFile",
    "ImageTooLarge",
    "ImageUnreadable",
    "ImageUnsuitable",
    "MediaUnsupported",
    "Model",
    "ModelDescription",
    "NotOneStudy",
    "ProbabilityMap",
    "Problem",
    "ProblemError",
    "Region",
    "RequestInvalid",
    "ResultWarning",
    "RetryPolicy",
    "SegmentationResult",
    "ServiceFailed",
    "ServiceUnreachable",
    "Study",
    "StudyEntry",
    "View",
]
