"""Findings and the header of their source -> DICOM objects. Start reading at `registry.py`."""
