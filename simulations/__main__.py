"""`python -m simulations`, the same as `shoal-sim`."""

from simulations.cli import main

if __name__ == "__main__":
    main()
