"""GET /v1/model: what answers here, what its weights may be used for, and how it did."""

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field
from starlette.requests import Request

from service import __version__
from service.api.description import problem_responses
from service.api.parameters import check_query
from service.api.segmentation import ModelName
from service.services import services
from service.serving.served_model import ServedModel
from service.serving.served_models import Role

router = APIRouter(tags=["model"])


class ModelListing(BaseModel):
    """One of the models here."""

    id: str = Field(description="What `?model=` calls it: its file's name without the ending.")
    role: Role = Field(
        description="`default` answers whoever names none; `served` who names it; `shadow` nobody: "
        "its scores are compared with the default's."
    )
    name: str
    version: str
    sha256: str
    unproven: bool


class ModelDescription(BaseModel):
    """The model that was asked for, and what others there are."""

    id: str
    sha256: str
    service_version: str = Field(description="The UIDs of DICOM results depend on it, too.")
    device: str
    contract: dict[str, Any]
    weights_licence: str
    model_card: str | None
    models: list[ModelListing] = Field(description="All of them, the default first.")


@router.get(
    "/v1/model",
    summary="The model's contract, licence and card, and what other models there are",
    responses=problem_responses(
        {400: "A query that names what is not known.", 404: "No model of this name."}
    ),
)
async def model(request: Request, model: ModelName = None) -> ModelDescription:
    """Return the contract without the golden tile, the licence of the weights, the model card."""
    check_query(request)
    models = services(request).models
    asked = models.find(model)
    segmenter = asked.segmenter
    return ModelDescription(
        id=asked.id,
        sha256=segmenter.model.sha256,
        service_version=__version__,
        device=segmenter.device,
        contract=segmenter.contract.model_dump(mode="json", exclude={"golden"}),
        weights_licence=segmenter.contract.provenance.licence,
        model_card=asked.card,
        models=[_listing(each, role) for each, role in models.roles()],
    )


def _listing(model: ServedModel, role: Role) -> ModelListing:
    identity = model.segmenter.model
    return ModelListing(
        id=model.id,
        role=role,
        name=identity.name,
        version=identity.version,
        sha256=identity.sha256,
        unproven=identity.unproven,
    )
