"""`shoal-coordinator`: the commands of whoever hosts. Owns the command group only."""

import click


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def main() -> None:
    """Run and look after a Shoal coordinator.

    Example: shoal-coordinator serve
    """


if __name__ == "__main__":
    main()
