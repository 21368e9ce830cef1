"""Lists as people write them into settings and options: separated by commas."""


def comma_list(text: str) -> tuple[str, ...]:
    """Return the parts of a text, without what is empty or blank around them."""
    return tuple(part.strip() for part in text.split(",") if part.strip())
