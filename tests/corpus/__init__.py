"""A corpus of one mammogram in every form that a site may send it: `python -m tests.corpus OUT`."""
