"""Which crops a net is shown, and how they are changed first."""
