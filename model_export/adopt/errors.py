"""How adopting a net fails: each time with a sentence that says what to do."""

from collections.abc import Sequence


class AdoptError(Exception):
    """The net is not adopted; the message says why, and what to do."""


class Unanswered(AdoptError):
    """The file does not say enough; each question names the flag that answers it."""

    def __init__(self, questions: Sequence[str]) -> None:
        super().__init__("the file does not say:\n" + "\n".join(f"  - {one}" for one in questions))
        self.questions = tuple(questions)


class NotProven(AdoptError):
    """What would be served is not what the framework, or the expected mask, says."""
