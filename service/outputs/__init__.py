"""Findings in, JSON or PNG out."""
