"""`celery policy …`: every command once more, below Celery's own.

Celery imports this whenever it starts, a worker too: the compiler is imported when somebody asks for it.
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

    def invoke(self, ctx: click.Context) -> object:
        from policycompiler.cli import own_exit_codes  # noqa: PLC0415

        with own_exit_codes():
            return super().invoke(ctx)


@click.group("policy", cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
def policy() -> None:
    """Compile and check the workload file of a deployment (policycompiler)."""
