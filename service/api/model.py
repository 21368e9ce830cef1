"""GET /v1/model: what answers here, what its weights may be used for, and how it did."""

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field
from starlette.requests import Request

from service import __version__
from service.services import services

router = APIRouter(tags=["model"])


class ModelDescription(BaseModel):
    """The model in use."""

    sha256: str
    service_version: str = Field(description="The UIDs of DICOM results depend on it, too.")
    device: str
    contract: dict[str, Any]
    weights_licence: str
    model_card: str | None


@router.get("/v1/model", summary="The model's contract, licence and card")
async def model(request: Request) -> ModelDescription:
    """Return the contract without the golden tile, the licence of the weights, the model card."""
    opened = services(request)
    segmenter = opened.segmenter
    return ModelDescription(
        sha256=segmenter.model.sha256,
        service_version=__version__,
        device=segmenter.device,
        contract=segmenter.contract.model_dump(mode="json", exclude={"golden"}),
        weights_licence=segmenter.contract.provenance.licence,
        model_card=opened.model_card,
    )
