"""The durable inbox: instances are kept until their results are delivered; see docs/inbox.md.

An instance that was accepted survives any crash from then on: its file and its row are on the disk
before the sender gets an answer.
"""
