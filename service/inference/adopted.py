"""What a contract says of a net of another framework (version 2)."""

from typing import Literal, Self

from pydantic import Field, model_validator

from service.inference.contract_part import Part

PLAIN = r"^[!-\[\]-~]([ -\[\]-~]*[!-\[\]-~])?$"
"""ASCII, no backslash, which separates values (PS3.5, 6.4), and no space at either end."""


class ClassCode(Part):
    """A coded concept (PS3.16): value, coding scheme, and what it means; all in ASCII."""

    value: str = Field(min_length=1, max_length=16, pattern=PLAIN)
    scheme: str = Field(min_length=1, max_length=16, pattern=PLAIN)
    meaning: str = Field(min_length=1, max_length=64, pattern=PLAIN)


class LesionClass(Part):
    """A class of lesions that the net tells from others.

    Attributes
    ----------
    name
        As answers call it, in the field `label` of a region; ASCII, since it stands in DICOM
        results under the image's own character set, which may hold nothing else.
    channel
        Of the output `classes`.
    code
        For DICOM results; None where nobody gave one.
    """

    name: str = Field(min_length=1, max_length=48, pattern=r"^[A-Za-z0-9_][A-Za-z0-9_ .,()/-]*$")
    channel: int = Field(ge=0)
    code: ClassCode | None = None


class Adopted(Part):
    """What is to be known of a net that another framework trained (version 2).

    Attributes
    ----------
    framework
        That made it.
    proof
        What the served answer was compared with before the file was written.
    facing
        The side of the image at which the chest wall must lie; an image that has it on the other
        is mirrored for the net, and the answer back. None where it does not matter.
    channels
        Of the output `classes`; 0 where there is none.
    classes
        The lesion classes among them.
    """

    framework: str = Field(min_length=1, max_length=48)
    proof: Literal["unproven", "expected-mask", "predictor"]
    facing: Literal["left", "right"] | None = None
    channels: int = Field(default=0, ge=0, le=256)
    classes: tuple[LesionClass, ...] = ()

    @model_validator(mode="after")
    def _classes_are_channels(self) -> Self:
        channels = [one.channel for one in self.classes]
        if any(channel >= self.channels for channel in channels):
            raise ValueError("a class names a channel that the output does not have")
        if len({*channels}) < len(channels) or len({one.name for one in self.classes}) < len(
            channels
        ):
            raise ValueError("two classes share a channel or a name")
        return self
