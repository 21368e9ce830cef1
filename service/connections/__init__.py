"""From a socket to a request: HTTP and TLS, and their bounds. Start reading at `server.py`."""
