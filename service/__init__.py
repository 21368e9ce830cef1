"""mammoseg: POST a mammogram, get back where the lesions are. Start reading at `segmenter.py`."""

from importlib.metadata import version

__version__ = version("mammoseg")
