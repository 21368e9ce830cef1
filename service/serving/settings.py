"""Settings of the models that are served."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode

from service.comma_list import comma_list
from service.inference.model_file import model_id
from service.models import BUNDLED_MODEL

MAX_MODELS = 16
"""Each has a label of metrics and memory of its own."""


class ServingSettings(BaseSettings):
    """The part of the service's configuration that says which models answer."""

    model: Path | None = Field(default=None, description="ONNX file; the bundled one by default")
    models: Annotated[tuple[Path, ...], NoDecode] = Field(
        default=(),
        max_length=MAX_MODELS,
        description="in place of MODEL, several ONNX files, separated by commas: ?model=NAME asks "
        "for one by its file's name without the ending; the first is the default",
    )
    model_key: Annotated[tuple[Path, ...], NoDecode] = Field(
        default=(),
        description="public keys (PEM), separated by commas: every model must be signed by one of "
        "them, see `mammoseg model sign`; none: signatures are not asked for",
    )
    shadow: Path | None = Field(
        default=None,
        description="ONNX file that judges a share of the images after the default model has "
        "answered; its scores are compared and counted, never answered",
    )
    shadow_share: float = Field(
        default=0.1, ge=0, le=1, description="share of images that the shadow judges, too"
    )
    inbox_model: str | None = Field(
        default=None,
        description="name of the model that the inbox uses; else the default one",
    )

    @field_validator("models", "model_key", mode="before")
    @classmethod
    def _split_paths(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        parts = comma_list(value)
        if not parts:
            # Of a key that was meant to be there, the empty text must not mean that none is.
            raise ValueError("must not be empty; leave it out for the default")
        return parts

    @field_validator("shadow", "inbox_model", mode="before")
    @classmethod
    def _is_not_blank(cls, value: object) -> object:
        if isinstance(value, str) and not value.strip():
            raise ValueError("must not be empty; leave it out for the default")
        return value

    @model_validator(mode="after")
    def _models_go_together(self) -> Self:
        if self.models and self.model is not None:
            raise ValueError("set MODEL or MODELS, not both")
        ids = [model_id(path) for path in (*self.model_paths, *filter(None, (self.shadow,)))]
        twice = sorted({id for id in ids if ids.count(id) > 1})
        if twice:
            raise ValueError(
                f"two models are called {twice[0]}: callers name them by their files' names"
            )
        if self.inbox_model is not None and self.inbox_model not in map(model_id, self.model_paths):
            raise ValueError("INBOX_MODEL names no model that is served")
        return self

    @property
    def model_paths(self) -> tuple[Path, ...]:
        """The files of the models that answer, the default first."""
        return self.models or (self.model or BUNDLED_MODEL,)
