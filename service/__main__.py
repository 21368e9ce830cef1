"""`python -m service` is the `mammoseg` command."""

from service.cli import main

main()
