"""Tests of the page, a package for pytest: they share one browser, which ends with them."""
