"""The plan: every setting of the deployment, each with who decided it, why, and from what.

Policies yield `Decision`s; the runner stamps the policy's name on them and they become `Setting`s of a
`Plan`. Values are plain JSON data, so a plan serialises to canonical JSON and reads back equal.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import NamedTuple, TypeAlias

from policycompiler.diagnostics import SpecPath

FORMAT = 1

Value: TypeAlias = "bool | int | float | str | list[Value] | dict[str, Value] | None"


class Scope(NamedTuple):
    """What a setting is about: `app`, `beat`, or a kind with a name, such as `task:shop.mail.send`."""

    kind: str
    name: str = ""

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}" if self.name else self.kind


APP = Scope("app")
BEAT = Scope("beat")


def scope_from_text(text: str) -> Scope:
    """The scope that `str(scope)` wrote."""
    kind, _, name = text.partition(":")
    return Scope(kind, name)


class Written(NamedTuple):
    """An origin that the user wrote: a path in the workload."""

    path: SpecPath


class Derived(NamedTuple):
    """An origin that is another setting of the plan."""

    scope: Scope
    key: str


class Constant(NamedTuple):
    """An origin that is a named number or word of the deciding policy."""

    name: str
    value: Value


Origin = Written | Derived | Constant


class Decision(NamedTuple):
    """What a policy yields: a value for one setting, a sentence why, and where it comes from."""

    scope: Scope
    key: str
    value: Value
    because: str
    origins: tuple[Origin, ...]
    overrides: bool = False


class Setting(NamedTuple):
    """A decision with the name of the policy that made it."""

    scope: Scope
    key: str
    value: Value
    because: str
    origins: tuple[Origin, ...]
    policy: str

    @property
    def address(self) -> str:
        """How users name it: scope and key, `task:shop.mail.send/acks_late`."""
        return f"{self.scope}/{self.key}"


class UndecidedError(LookupError):
    """A setting was read that no policy has decided (yet): a policy stands too early in the order."""


class ConflictError(Exception):
    """A setting was decided twice, or without an origin."""


class Plan:
    """Settings by scope and key. Read-only for everybody but the policy runner."""

    def __init__(self, settings: dict[Scope, dict[str, Setting]] | None = None) -> None:
        self._settings = {} if settings is None else settings

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Plan) and self.to_json() == other.to_json()

    __hash__ = None  # type: ignore[assignment]  # compared by content, and large

    def scopes(self, kind: str) -> list[Scope]:
        """All scopes of a kind, sorted by name."""
        return sorted(scope for scope in self._settings if scope.kind == kind)

    def keys(self, scope: Scope) -> Mapping[str, Setting]:
        """The settings of a scope by key; empty when nothing is decided about it."""
        return self._settings.get(scope, {})

    def find(self, scope: Scope, key: str) -> Setting | None:
        """A setting, or None when nobody has decided it."""
        keys = self._settings.get(scope)
        return keys.get(key) if keys else None

    def setting(self, scope: Scope, key: str) -> Setting:
        """A setting; raises `UndecidedError` when nobody has decided it."""
        found = self.find(scope, key)
        if found is None:
            message = f"nobody has decided {scope}/{key}"
            raise UndecidedError(message)
        return found

    def value(self, scope: Scope, key: str) -> Value:
        """The value of a setting that must be decided."""
        return self.setting(scope, key).value

    def get(self, scope: Scope, key: str, default: Value = None) -> Value:
        """The value of a setting, or `default` when nobody has decided it."""
        found = self.find(scope, key)
        return default if found is None else found.value

    def number(self, scope: Scope, key: str) -> float:
        """The value of a setting that must be a number."""
        value = self.value(scope, key)
        assert isinstance(value, int | float), f"{scope}/{key} is {value!r}"
        return value

    def text(self, scope: Scope, key: str) -> str:
        """The value of a setting that must be text."""
        value = self.value(scope, key)
        assert isinstance(value, str), f"{scope}/{key} is {value!r}"
        return value

    def texts(self, scope: Scope, key: str) -> list[str]:
        """The value of a setting that must be a list of texts."""
        value = self.value(scope, key)
        assert isinstance(value, list), f"{scope}/{key} is {value!r}"
        return [str(item) for item in value]

    def __iter__(self) -> Iterator[Setting]:
        for scope in sorted(self._settings):
            keys = self._settings[scope]
            for key in sorted(keys):
                yield keys[key]

    def __len__(self) -> int:
        return sum(len(keys) for keys in self._settings.values())

    def to_json(self) -> str:
        """The canonical text: sorted, no clock, no host, no absolute path, no line numbers."""
        document = {
            "format": FORMAT,
            "settings": {
                str(scope): {
                    key: _setting_to_data(setting) for key, setting in sorted(self._settings[scope].items())
                }
                for scope in sorted(self._settings)
            },
        }
        # A line an item, so that a change is a line of a diff; an indent would cost the fast encoder.
        return json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",\n", ": ")) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """The plan that `to_json` wrote."""
        document = json.loads(text)
        plan = PlanDraft()
        for scope_text, keys in document["settings"].items():
            scope = scope_from_text(scope_text)
            for key, entry in keys.items():
                origins = tuple(_origin_from_data(origin) for origin in entry["origins"])
                decision = Decision(scope, key, entry["value"], entry["because"], origins)
                plan.settle(decision, entry["policy"])
        return plan.finished()


class PlanDraft(Plan):
    """A plan that is being decided; only the policy runner holds one."""

    def __init__(self) -> None:
        super().__init__({})

    def settle(self, decision: Decision, policy: str) -> None:
        """Make a decision a setting. Raises `ConflictError` on a second decider or a missing origin."""
        scope, key, value, because, origins, overrides = decision
        keys = self._settings.setdefault(scope, {})
        if not origins:
            message = f"{policy} decides {scope}/{key} without an origin"
            raise ConflictError(message)
        earlier = keys.get(key)
        if earlier is not None and not overrides:
            message = f"{policy} decides {scope}/{key}, which {earlier.policy} has decided"
            raise ConflictError(message)
        keys[key] = Setting(scope, key, value, because, origins, policy)

    def finished(self) -> Plan:
        """The plan, for reading only."""
        return Plan(self._settings)


def _setting_to_data(setting: Setting) -> dict[str, Value]:
    return {
        "value": setting.value,
        "policy": setting.policy,
        "because": setting.because,
        "origins": [_origin_to_data(origin) for origin in setting.origins],
    }


def _origin_to_data(origin: Origin) -> dict[str, Value]:
    match origin:
        case Written(path):
            return {"spec": list(path)}
        case Derived(scope, key):
            return {"setting": f"{scope}/{key}"}
        case Constant(name, value):
            return {"constant": name, "value": value}


def _origin_from_data(data: Mapping[str, Value]) -> Origin:
    if "spec" in data:
        path = data["spec"]
        assert isinstance(path, list)
        return Written(tuple(part if isinstance(part, int) else str(part) for part in path))
    if "setting" in data:
        scope, _, key = str(data["setting"]).rpartition("/")
        return Derived(scope_from_text(scope), key)
    return Constant(str(data["constant"]), data["value"])
