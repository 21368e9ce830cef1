"""An evaluation for people: a page to look at, a table in the terminal, the card's figures."""

from model_export.report.pages import save
from model_export.report.terminal import show

__all__ = ["save", "show"]
