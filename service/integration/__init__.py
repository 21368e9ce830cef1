"""Clients of a PACS, in processes of their own: `mammoseg follow` and `mammoseg pull`."""
