"""The documentation as a site: `python -m docs.generator` builds it in build/site.

Every Markdown page of the repository keeps its place, so that it reads as well there as on the
site. Made anew at each build are the page of the API and those of the files that pages link to. The
statements for PACS vendors are pages of the repository, which `statements` writes.
"""
