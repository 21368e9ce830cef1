"""What every part of a contract is."""

from pydantic import BaseModel, ConfigDict


class Part(BaseModel):
    """A frozen part: no field that is not known, no number that is none."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
