"""The audit trail (DICOM PS3.15 Annex A.5): who did what with whose images, told to a collector.

The only place where the service tells of patients; its logs never do.
"""
