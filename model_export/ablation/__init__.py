"""Many short runs that differ in one thing each, and a table of what that made of them."""
