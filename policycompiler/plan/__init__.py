"""The plan: every setting of the deployment, each with its policy, its reason and its origins.

Policies yield `Decision`s; the runner stamps the policy's name on them and they become `Setting`s of a
`Plan`. Values are plain JSON data: `plan.file` writes a plan as canonical JSON and reads it back equal.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from sys import intern
from typing import NamedTuple, TypeAlias

from policycompiler.diagnostics import SpecPath
from policycompiler.knowledge import brokers
from policycompiler.knowledge.brokers import Broker
from policycompiler.plan import vocabulary
from policycompiler.plan.entries import first_match, patterns_among

AS_IS = "as-is"
"""The value of `policies` where Celery's own defaults stay."""
MOST_PROCESSES = 10_000
"""The limit for one worker in a plan: files name each process."""

Value: TypeAlias = "bool | int | float | str | list[Value] | dict[str, Value] | None"


class Scope(NamedTuple):
    """The scope of a setting: `app`, `beat`, or a kind with a name, such as `task:shop.mail.send`."""

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


class Parameter(NamedTuple):
    """An origin that is a parameter of the policy file, with its path and value."""

    path: SpecPath
    value: Value


class Observed(NamedTuple):
    """An origin that a look at a running or written system showed.

    `source` is the kind of look: `code`, `command`, `worker`, `broker`, `beat` or `measurement`.
    `place` is where: a file with a line, a node name, the name of a queue. It contains no secret.
    """

    source: str
    place: str


class Default(NamedTuple):
    """An origin that is the default of Celery itself, by Celery's name for it, such as `task_acks_late`.

    A setting with this origin first is left to Celery: no file sets it. Code that the workload does not show,
    such as a decorator, may therefore still change it.
    """

    name: str
    version: str


Origin = Written | Derived | Constant | Parameter | Observed | Default


class Decision(NamedTuple):
    """The result of a policy: a value for one setting, a reason, and the origins."""

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
        """The address for users: scope and key, `task:shop.mail.send/acks_late`."""
        return f"{self.scope}/{self.key}"

    @property
    def is_left_to_celery(self) -> bool:
        """Whether no file sets it, because Celery's own default applies."""
        return isinstance(self.origins[0], Default)


class UndecidedError(LookupError):
    """A policy read a setting that no policy has decided yet: it runs too early in the order."""


class ConflictError(Exception):
    """A setting was decided twice, or without an origin."""


class UndeclaredError(Exception):
    """A policy decides a key that the vocabulary does not declare."""


_NOTHING: dict[str, Setting] = {}
_NUMBER = (int, float)


class Plan:
    """Settings by scope and key. Only the policy runner may change them."""

    def __init__(self, settings: dict[Scope, dict[str, Setting]] | None = None) -> None:
        self._settings = {} if settings is None else settings
        self._sorted: dict[str, tuple[Scope, ...]] = {}
        self._patterns: tuple[tuple[Scope, ...], list[str]] = ((), [])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Plan) and self._settings == other._settings

    __hash__ = None  # type: ignore[assignment]  # compared by content, and large

    def scopes(self, kind: str) -> tuple[Scope, ...]:
        """All scopes of a kind, sorted by name."""
        found = self._sorted.get(kind)
        if found is None:
            found = tuple(sorted([scope for scope in self._settings if scope.kind == kind]))
            self._sorted[kind] = found
        return found

    def entry(self, task: str) -> Scope | None:
        """The scope that declares a task: its own, or that of the most specific pattern; None without any."""
        own = Scope("task", task)
        if own in self._settings:
            return own
        scopes = self.scopes("task")
        if self._patterns[0] is not scopes:
            self._patterns = (scopes, patterns_among(scope.name for scope in scopes))
        found = first_match(task, self._patterns[1])
        return None if found is None else Scope("task", found)

    def keys(self, scope: Scope) -> Mapping[str, Setting]:
        """The settings of a scope by key; empty without any."""
        return self._settings.get(scope, _NOTHING)

    def find(self, scope: Scope, key: str) -> Setting | None:
        """A setting, or None if it is not decided."""
        return self._settings.get(scope, _NOTHING).get(key)

    def setting(self, scope: Scope, key: str) -> Setting:
        """A setting; raises `UndecidedError` if it is not decided."""
        found = self.find(scope, key)
        if found is None:
            message = f"no policy has decided {scope}/{key}"
            raise UndecidedError(message)
        return found

    def value(self, scope: Scope, key: str) -> Value:
        """The value of a setting that must be decided."""
        # A large plan needs a million reads; `find` would be one more call.
        try:
            return self._settings[scope][key].value
        except KeyError:
            return self.setting(scope, key).value

    def get(self, scope: Scope, key: str, default: Value = None) -> Value:
        """The value of a setting, or `default` if it is not decided."""
        found = self._settings.get(scope, _NOTHING).get(key)
        return default if found is None else found.value

    def as_is(self, scope: Scope) -> bool:
        """Whether a value that the workload does not set stays Celery's own, for this task or for the app."""
        found = self._settings.get(scope if scope.kind == "task" else APP, _NOTHING).get("policies")
        return found is not None and found.value == AS_IS

    def told(self) -> Plan:
        """The plan without the settings that are left to Celery: what files tell processes."""
        every = (setting for keys in self._settings.values() for setting in keys.values())
        # Most plans have none, and a large plan has a million settings; the property would be one more call.
        if not any(isinstance(setting.origins[0], Default) for setting in every):
            return self
        return Plan(
            {
                scope: {key: setting for key, setting in keys.items() if not setting.is_left_to_celery}
                for scope, keys in self._settings.items()
            }
        )

    def below(self, scope: Scope, prefix: str) -> dict[str, Value]:
        """The values of the settings whose keys start with a prefix, by the rest of the keys."""
        keys = sorted(key for key in self.keys(scope) if key.startswith(prefix))
        return {key.removeprefix(prefix): self.value(scope, key) for key in keys}

    def number(self, scope: Scope, key: str) -> float:
        """The value of a setting that must be a number."""
        value = self.value(scope, key)
        assert isinstance(value, _NUMBER), f"{scope}/{key} is {value!r}"
        return value

    def number_if_any(self, scope: Scope, key: str) -> float | None:
        """The value of a setting, or None if it is not decided or not a number."""
        value = self.get(scope, key)
        return value if isinstance(value, _NUMBER) else None

    def version(self, scope: Scope, key: str) -> tuple[int, ...]:
        """The value of a setting that must be a version: major and minor number, `5.7.1` as (5, 7)."""
        return tuple(int(part) for part in self.text(scope, key).split(".")[:2])

    @property
    def broker(self) -> Broker:
        """The abilities of the broker of `broker_transport`."""
        return brokers.broker(self.text(APP, "broker_transport"))

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

    def written(self, scope: Scope, key: str) -> SpecPath | None:
        """The path of the pin of a setting, even an inherited one; None if a policy decided it."""
        found = self.find(scope, key)
        while found is not None:
            origin = found.origins[0]
            if isinstance(origin, Written):
                return origin.path
            handed_down = isinstance(origin, Derived) and len(found.origins) == 1
            found = (
                self.find(origin.scope, origin.key) if isinstance(origin, Derived) and handed_down else None
            )
        return None

    def by_scope(self) -> Iterator[tuple[Scope, list[Setting]]]:
        """Each scope with its settings, both sorted."""
        for scope in sorted(self._settings):
            keys = self._settings[scope]
            yield scope, [keys[key] for key in sorted(keys)]

    def __iter__(self) -> Iterator[Setting]:
        for _, settings in self.by_scope():
            yield from settings

    def __len__(self) -> int:
        return sum(len(keys) for keys in self._settings.values())


class PlanDraft(Plan):
    """A plan that is being decided; only the policy runner holds one."""

    def __init__(self) -> None:
        super().__init__({})
        self._entries: dict[Scope, tuple[Scope, dict[str, Setting]]] = {}
        self._sentences: dict[str, str] = {}

    def settle(self, decision: Decision, policy: str) -> None:
        """Make a decision a setting.

        Raises `ConflictError` on a second decider or a missing origin, `UndeclaredError` on an unknown key.
        """
        scope, key, value, because, origins, overrides = decision
        if vocabulary.find(scope.kind, key) is None:
            message = f"{policy} decides {scope}/{key}, which no entry of the vocabulary declares"
            raise UndeclaredError(message)
        # Policies create equal scopes, keys and sentences many times; one of each is kept.
        scope, keys = self._entries.get(scope) or self._entry(scope)
        if not origins:
            message = f"{policy} decides {scope}/{key} without an origin"
            raise ConflictError(message)
        earlier = keys.get(key)
        if earlier is not None and not overrides:
            message = f"{policy} decides {scope}/{key}, which {earlier.policy} has already decided"
            raise ConflictError(message)
        key, because = intern(key), self._sentences.setdefault(because, because)
        keys[key] = Setting(scope, key, value, because, origins, policy)

    def take(self, scope: Scope, settings: Mapping[str, Setting]) -> None:
        """Copy the settings of a scope of another plan."""
        _, keys = self._entry(scope)
        keys.update({key: setting._replace(scope=scope) for key, setting in settings.items()})

    def drop(self, scope: Scope, key: str) -> None:
        """Undo a decision, if there is one."""
        self._settings.get(scope, {}).pop(key, None)

    def _entry(self, scope: Scope) -> tuple[Scope, dict[str, Setting]]:
        """Create an empty scope."""
        keys = self._settings[scope] = {}
        self._sorted.pop(scope.kind, None)
        entry = self._entries[scope] = scope, keys
        return entry

    def finished(self) -> Plan:
        """The plan, for reading only."""
        return Plan(self._settings)
