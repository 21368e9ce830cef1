"""What reading an image may cost."""

from dataclasses import dataclass

from service.errors import TooLarge, UnsuitableImage


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """What an image may cost.

    Attributes
    ----------
    max_pixels
        Rows times columns, of the header and of the codestream.
    max_inflated_bytes
        Size of a deflated dataset once inflated.
    accept_modalities
        Values of Modality (0008,0060) that are let in.
    memory_bytes
        What this process may take to read it; None where nobody counts.
    """

    max_pixels: int = 64_000_000
    max_inflated_bytes: int = 256 * 2**20
    accept_modalities: frozenset[str] = frozenset({"MG"})
    memory_bytes: int | None = None

    def refuse_memory(self, needed: int) -> None:
        """Refuse what takes more memory than there is, before a decoder fails for the lack of it.

        Many decoders cannot tell that from a broken file.

        Raises
        ------
        UnsuitableImage
            `needed` bytes are more than `memory_bytes`.
        """
        if self.memory_bytes is not None and needed > self.memory_bytes:
            raise too_much_memory()


def too_many_pixels() -> TooLarge:
    """Return the error for an image that would unpack to more than the limit."""
    return TooLarge("too-many-pixels", "The image has more pixels than this service accepts.")


def too_much_memory() -> UnsuitableImage:
    """Return the error for an image that takes more memory than a reader has."""
    return UnsuitableImage("decode-limit", "The image takes too much memory to read here.")
