"""Who is told about an alert: a receiver for each team and severity.

Decides:
    `app/notification_receivers`, `app/notification_routes`, `app/notification_default`,
    `app/notification_group_wait_seconds`, `app/notification_group_interval_seconds` and
    `app/notification_repeat_interval_seconds`, if the policy file declares receivers.

Because:
    An alert that reaches no one is no alert, and one that pages another team is ignored. Each alert has a
    team and a severity, so these two choose the receiver. All other alerts go to the default receiver. The
    policy file names files with secrets, because it is read by everybody.

Example:
    tasks: {shop.mail.send: {}}

    app/metric_sources = ["celery-exporter", "redis-exporter"]

Refuses:
    PC975 team-without-receiver: add a receiver for the team and severity to the policy file.
        policy:
            parameters:
              notifications:
                receivers: {pager: {pagerduty: {routing_key_file: /etc/alertmanager/key}}}
                teams: {storefront: {critical: pager, warning: pager}}
                default: pager
        fires: tasks: {shop.a: {queue: mail, owner: payments}}
        silent: tasks: {shop.a: {queue: mail, owner: storefront}}
    PC976 unused-receiver: remove the receiver from the policy file, or give it to a team.
        when: the policy file declares a receiver that neither a team nor the default names.

Parameters:
    `receivers`: where notifications go, by name; {}.
    `teams`: the receiver of each severity, by team; {}.
    `default`: the receiver of all other alerts; null.
    `group_wait`: how long the first notification waits for other alerts of its group; 30s.
    `group_interval`: how long the next notification of a group waits; 5m.
    `repeat_interval`: when a notification is repeated; 4h.
"""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field, model_validator

from policycompiler.diagnostics import Diagnostic, SpecPath, warning
from policycompiler.model import PolicyParameters, Workload
from policycompiler.model.receivers import Receiver
from policycompiler.model.units import AlertSeverity, Name, Owner, PositiveDuration, refuse
from policycompiler.plan import APP, Decision, Parameter, Plan, Value

NAME = "notifications"

TEAM_WITHOUT_RECEIVER = warning("PC975", "team-without-receiver")
UNUSED_RECEIVER = warning("PC976", "unused-receiver")


class Parameters(PolicyParameters):
    """The parameters of the policy."""

    receivers: dict[Name, Receiver] = Field(
        default_factory=dict, description="where notifications go, by name"
    )
    teams: dict[Owner, dict[AlertSeverity, Name]] = Field(
        default_factory=dict, description="the receiver of each severity, by team"
    )
    default: Name | None = Field(None, description="the receiver of all other alerts")
    group_wait: PositiveDuration = Field(
        30, description="how long the first notification waits for other alerts of its group"
    )
    group_interval: PositiveDuration = Field(
        300, description="how long the next notification of a group waits"
    )
    repeat_interval: PositiveDuration = Field(14400, description="when a notification is repeated")

    @model_validator(mode="after")
    def _names_receivers(self) -> Parameters:
        if self.receivers and self.default is None:
            raise refuse("write `default:`, the receiver of alerts that no team has")
        for name in self.used():
            if name not in self.receivers:
                message = f"there is no receiver `{name}`; declare it in `receivers:`"
                raise refuse(message)
        return self

    def used(self) -> list[str]:
        """The receivers that someone names."""
        named = [name for of_team in self.teams.values() for name in of_team.values()]
        return sorted({*named, *([self.default] if self.default else [])})


def apply(spec: Workload, plan: Plan, tuned: Parameters) -> Iterator[Decision | Diagnostic]:
    """Decide who is told, for the teams that have alerts."""
    for name in sorted(set(tuned.receivers) - set(tuned.used())):
        yield UNUSED_RECEIVER.at((), f"no team of the policy file uses its receiver `{name}`")
    if not tuned.receivers:
        return
    severities: dict[str, set[str]] = {}
    for alert in plan.scopes("alert"):
        if team := plan.get(alert, "team"):
            severities.setdefault(str(team), set()).add(plan.text(alert, "severity"))
    for team, found in sorted(severities.items()):
        if untold := sorted(found - set(tuned.teams.get(team, {}))):
            message = (
                f"the policy file has no receiver for alerts of the team `{team}` with severity "
                f"{', '.join(untold)}; they go to `{tuned.default}`"
            )
            help_text = f"add the team to `teams:` of the parameters of {NAME}"
            yield TEAM_WITHOUT_RECEIVER.at(_owner(spec, team), message, help=help_text)
    # A plan file sorts them, and routes that are made from it must have the same order.
    routes: Value = {
        team: dict(sorted(tuned.teams[team].items())) for team in sorted(severities) if team in tuned.teams
    }
    of_teams = [tuned.teams[team] for team in severities if team in tuned.teams]
    names = sorted({str(tuned.default), *(name for of_team in of_teams for name in of_team.values())})
    receivers: Value = {name: tuned.receivers[name].model_dump(exclude_none=True) for name in names}
    yield _decision("notification_receivers", "receivers", receivers, "these receivers get its alerts")
    yield _decision("notification_routes", "teams", routes, "team and severity choose the receiver")
    yield _decision("notification_default", "default", tuned.default, "every alert needs a receiver")
    for key in ("group_wait", "group_interval", "repeat_interval"):
        because = "the policy file times notifications"
        yield _decision(f"notification_{key}_seconds", key, getattr(tuned, key), because)


def _decision(key: str, parameter: str, value: Value, because: str) -> Decision:
    return Decision(APP, key, value, because, (Parameter(("parameters", NAME, parameter), value),))


def _owner(spec: Workload, team: str) -> SpecPath:
    """Where the workload names a team first."""
    if spec.owner == team:
        return ("owner",)
    places = (
        (section, name, "owner")
        for section, entries in (("tasks", spec.tasks), ("schedules", spec.schedules))
        for name, entry in entries.items()
        if entry.owner == team
    )
    return next(places, ("owner",))
