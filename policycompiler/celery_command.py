"""`celery policy …`: all commands as subcommands of Celery.

Celery imports this module at every start, even for a worker. So the compiler is imported only when a command
needs it.
"""

from __future__ import annotations

import click


class _Commands(click.Group):
    """The commands of `policycompiler`, and its exit codes."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        from policycompiler.cli import cli  # noqa: PLC0415

        return cli.list_commands(ctx)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        from policycompiler.cli import cli  # noqa: PLC0415

        return cli.get_command(ctx, cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        from policycompiler.cli import cli  # noqa: PLC0415

        cli.format_commands(ctx, formatter)

    def invoke(self, ctx: click.Context) -> object:
        from policycompiler.cli import own_exit_codes  # noqa: PLC0415

        with own_exit_codes():
            return super().invoke(ctx)


@click.group("policy", cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
def policy() -> None:
    """Compile and check the workload of a deployment (policycompiler).

    \b
    Example:
      celery policy check workloads
    """
