"""`python -m mammoseg` is the `mammoseg` command."""

from service.cli import main

if __name__ == "__main__":
    main()
