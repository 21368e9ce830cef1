"""`mammoseg doctor`: whether machine, installation and settings are fit to serve."""
