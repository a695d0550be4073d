"""`python -m policycompiler`, and the `policycompiler` command."""

import gc
import os

from policycompiler import interrupts


def main() -> None:
    """Run the command line. The rest of the program is imported only once an interrupt ends well."""
    interrupts.end_at_once()
    # A compile builds much and frees nothing: the collector would only look at it again and again.
    gc.disable()
    # To find those of pydantic, it would read what every installed package says of itself.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    try:
        from policycompiler.cli import main as command_line  # noqa: PLC0415

        command_line()
    except KeyboardInterrupt:
        interrupts.end()


if __name__ == "__main__":
    main()
