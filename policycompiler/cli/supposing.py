"""The options that suppose another workload than the one that is written."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeAlias

import click

from policycompiler.model import WhatIf
from policycompiler.model.workload.workers import Budget

LARGEST_FACTOR = 1e6

Command: TypeAlias = Callable[..., None]


class _Factor(click.ParamType[float]):
    """A factor on rates: above 0, and finite."""

    name = "factor"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            factor = float(str(value))
        except ValueError:
            factor = 0.0
        if not 0 < factor <= LARGEST_FACTOR:
            told = f"{value!r} is not a number above 0 and up to {LARGEST_FACTOR:,.0f}, such as 2 or 0.5"
            self.fail(told, param, ctx)
        return factor


class _Assignment(click.ParamType[tuple[str, str]]):
    """A path and a value: `tasks.shop.mail.send.rate=40/s`."""

    name = "path=value"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        path, equals, given = str(value).partition("=")
        if not equals or not path.strip():
            self.fail(
                f"{value!r} is not a path and a value, such as tasks.shop.mail.send.rate=40/s", param, ctx
            )
        return path.strip(), given


class _Budget(_Assignment):
    """A budget and an amount: `memory=8GiB`."""

    name = "name=amount"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        name, equals, amount = str(value).partition("=")
        if not equals or not amount.strip() or name.strip() not in Budget.model_fields:
            known = ", ".join(Budget.model_fields)
            self.fail(
                f"{value!r} is no budget with an amount, such as memory=8GiB; it has {known}", param, ctx
            )
        return f"budget.{name.strip()}", amount


FACTOR = _Factor()

_factor = click.option(
    "--rate-factor",
    type=FACTOR,
    default="1",
    metavar="FACTOR",
    help="Multiply all rates: 2 is twice the traffic.",
)
_set = click.option(
    *("--set", "values"),
    type=_Assignment(),
    multiple=True,
    metavar="PATH=VALUE",
    help="Compile with another value, such as tasks.shop.mail.send.runtime.p99=30s; repeatable.",
)


_budget = click.option(
    *("--budget", "budgets"),
    type=_Budget(),
    multiple=True,
    metavar="NAME=AMOUNT",
    help="What all workers together may take: memory=8GiB, cores=16 or connections=100; repeatable.",
)


def what_if(command: Command) -> Command:
    """The command gets what to suppose as `what_if`."""

    @wraps(command)
    def with_what_if(**given: Any) -> None:  # noqa: ANN401 - each option has its own type
        supposed = WhatIf(given.pop("rate_factor"), (*given.pop("values"), *given.pop("budgets")))
        command(what_if=supposed, **given)

    return _factor(_set(_budget(with_what_if)))
