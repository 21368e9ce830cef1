"""The commands of `mammoseg`, a module each; `service.cli` imports the one that is run."""
