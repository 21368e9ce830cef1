"""Several processes that take requests, and one that owns the device.

One event loop receives some 90 mammograms a second. Where more come, each ingest process receives,
reads, cuts and answers, and its tiles go to the owner, which runs them among everybody's, as one
process would: one queue, one session.
"""
