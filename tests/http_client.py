"""HTTP to servers on this machine, each request on a connection of its own.

`httpx.get` and its like read the system's certificates each time, and that takes more processor
time than the request: measured 59 ms against 3.
"""

import httpx

_client = httpx.Client(
    verify=False, limits=httpx.Limits(max_connections=None, max_keepalive_connections=0)
)
get, post, request = _client.get, _client.post, _client.request
