"""Who may do what: API keys, access tokens of an OpenID provider, and how often each may ask."""
