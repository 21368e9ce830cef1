"""Many files, without a server: found, segmented a few at once, their results written whole."""
