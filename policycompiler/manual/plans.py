"""The manual page of the plan keys, and the schema of `plan.json`, from the vocabulary."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from policycompiler.plan import vocabulary
from policycompiler.plan.file import FORMAT
from policycompiler.plan.vocabulary import Key, Reader, Type

_HEAD = """\
# The plan: its scopes and keys

`plan.json` has every setting of a deployment: its value, the policy that decided it, the reason, and its
origins. `policycompiler explain SOURCE SCOPE/KEY` follows the origins back to the workload. Undecided keys
are absent. A key with the name of a Celery setting has the unit of that setting. This page is generated from
the vocabulary by `make docs`.

When a key changes, its readers must restart. `celeryconfig.py` is the configuration of every process and
producer. It contains the annotations of tasks, and a part that only beat reads. Workers and beat also have
commands and units, and Prometheus has alerts. A key that only people read changes no process: it appears in
tables and comments, or other settings are derived from it.
"""
_TAIL = """\
The name of a task may be a glob with `*`. The plans between two deployments, which `compile --rollout`
writes, have one more task key, `sent_as`. The policy `rollout` decides the values that neither of the two
plans has.

## The file

`plan.json` has format 2. Its schema is [plan.schema.json](../schemas/plan.schema.json); the command
`policycompiler schema plan` prints it.

```json
{"format": 2,
"reasons": {
"placement 6c1f20ab": {"policy": "placement", "because": "pinned", "origins": [{"field": ["queue"]}]},
"prefetch 90be12d4": {"policy": "prefetch", "because": "short tasks", "origins": [{"own": "tasks"}]}
},
"settings": {
"task:shop.mail.send": {
"queue": {"value": "mail", "why": "placement 6c1f20ab"}
},
"worker:mail": {
"prefetch_multiplier": {"value": 4, "why": "prefetch 90be12d4"}
}
}}
```

- `settings` has the scopes, and each scope has its keys. A setting is one line: its value, and the name of
  its reason.
- `reasons` has each reason once, on one line: the deciding policy, a sentence, and the origins. The name is
  the policy and the start of the SHA-256 of the reason, so it changes only with the reason.
- An origin is one of these:
  - a `field` of the scope's entry in the workload: the path below that entry
  - another path of the workload (`spec`): the whole path
  - another setting of the same scope (`own`): its key
  - a `setting` of another scope
  - a `parameter` of the policy file, with its `value`
  - a named `constant` of the policy, with its `value`
  - a place in a running system (`observed`): the kind of look, and the `place`
  - Celery's own `default`, by its name, and the version of `celery`; no file sets such a setting
- Scopes, keys and reasons are sorted. The file has no date, host or absolute path: equal sources give equal
  bytes.

`diff` and `compile --rollout` still read format 1, which has the reason in each setting.
"""

_TITLES = {
    "alert": "`alert:NAME`, or `alert:NAME:QUEUE` for an alert about a queue",
    "beat": "`beat`, absent without schedules",
    "disabled_schedule": "`disabled_schedule:NAME`, not sent; for schedulers with rows in a database",
}
_SETTING = "any other Celery setting, by its lowercase name; emitted unchanged"

_JSON: Mapping[Type, Mapping[str, object]] = {
    Type.TEXT: {"type": "string"},
    Type.VARIABLE: {"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$"},
    Type.FLAG: {"type": "boolean"},
    Type.NUMBER: {"type": "number"},
    Type.COUNT: {"type": "integer", "minimum": 0},
    Type.TEXTS: {"type": "array", "items": {"type": "string"}},
    Type.LIST: {"type": "array"},
    Type.MAPPING: {"type": "object"},
    Type.ANY: {},
}


def plan_page() -> str:
    """The page of all scopes and keys, for docs/plan.md."""
    return "\n".join([_HEAD, *(section for kind in vocabulary.SCOPES for section in _section(kind)), _TAIL])


def _section(kind: str) -> Iterator[str]:
    name = kind if kind in {"app", "beat"} else f"{kind}:NAME"
    yield f"## {_TITLES.get(kind, f'`{name}`')}\n"
    yield "| key | type | read by | |\n|---|---|---|---|"
    for key in vocabulary.declared(kind):
        name = f"{key.name}NAME" if key.is_prefix else key.name
        yield f"| `{name}` | {_type(key)} | {_readers(key)} | {key.says} |"
    if kind == "app":
        yield f"| … | any | {Reader.CONFIGURATION}; `beat_…`: {Reader.BEAT_CONFIGURATION} | {_SETTING} |"
    yield ""


def _type(key: Key) -> str:
    unit = f", {key.unit}" if key.unit else ""
    return f"{key.type}{unit}{' or null' if key.nullable and key.type is not Type.ANY else ''}"


def _readers(key: Key) -> str:
    return ", ".join(reader for reader in Reader if reader in key.readers)


def plan_schema() -> str:
    """The JSON Schema of `plan.json`, as text."""
    kinds = {_scope_pattern(kind): {"$ref": f"#/$defs/{kind}"} for kind in vocabulary.SCOPES}
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"policycompiler plan, format {FORMAT}",
        "description": "plan.json: every setting of a deployment by scope and key; see docs/plan.md.",
        "type": "object",
        "additionalProperties": False,
        "required": ["format", "reasons", "settings"],
        "properties": {
            "format": {"const": FORMAT},
            "reasons": {
                "description": "Each reason once, by a name that starts with the policy.",
                "type": "object",
                "propertyNames": {"pattern": "^[a-z0-9-]+ [0-9a-f]{8,}$"},
                "additionalProperties": {"$ref": "#/$defs/reason"},
            },
            "settings": {"type": "object", "additionalProperties": False, "patternProperties": kinds},
        },
        "$defs": {**_DEFINITIONS, **{kind: _keys(kind) for kind in vocabulary.SCOPES}},
    }
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _scope_pattern(kind: str) -> str:
    return f"^{kind}$" if kind in {"app", "beat"} else f"^{kind}:.+$"


def _keys(kind: str) -> dict[str, object]:
    """The settings of a kind of scope; for the app, all other Celery settings too."""
    keys = list(vocabulary.declared(kind))
    setting = {"$ref": "#/$defs/setting"}
    return {
        "type": "object",
        "properties": {key.name: _setting(key) for key in keys if not key.is_prefix},
        "patternProperties": {f"^{key.name[:-1]}\\..+$": setting for key in keys if key.is_prefix},
        "additionalProperties": setting if kind == "app" else False,
    }


def _setting(key: Key) -> dict[str, object]:
    value = dict(_JSON[key.type])
    if key.nullable and "type" in value:
        value["type"] = [value["type"], "null"]
    said = f"{key.says} ({key.unit})" if key.unit else key.says
    return {"$ref": "#/$defs/setting", "properties": {"value": {"description": said, **value}}}


_PATH: Mapping[str, object] = {"type": "array", "minItems": 1, "items": {"type": ["string", "integer"]}}


def _origin(description: str, **properties: Mapping[str, object]) -> dict[str, object]:
    return {
        "description": description,
        "type": "object",
        "additionalProperties": False,
        "required": [*properties],
        "properties": properties,
    }


_DEFINITIONS: Mapping[str, object] = {
    "setting": {
        "type": "object",
        "additionalProperties": False,
        "required": ["value", "why"],
        "properties": {
            "value": {},
            "why": {"description": "Name of the reason.", "type": "string"},
        },
    },
    "reason": {
        "type": "object",
        "additionalProperties": False,
        "required": ["policy", "because", "origins"],
        "properties": {
            "policy": {
                "description": "Policy that decided the setting.",
                "type": "string",
                "pattern": "^[a-z0-9-]+$",
            },
            "because": {"description": "Reason, in one sentence.", "type": "string"},
            "origins": {
                "description": "Sources of the value.",
                "type": "array",
                "minItems": 1,
                "items": {"$ref": "#/$defs/origin"},
            },
        },
    },
    "origin": {
        "oneOf": [
            _origin("A path in the workload.", spec=_PATH),
            _origin(
                "A field of the scope's entry in the workload: the path below that entry.",
                field={**_PATH, "minItems": 0},
            ),
            _origin("Another setting of the same scope: its key.", own={"type": "string"}),
            _origin("Another setting: its scope and key.", setting={"type": "string"}),
            _origin(
                "A parameter of the policy file: its path and its value.",
                parameter=_PATH,
                value={},
            ),
            _origin("A named constant of the deciding policy.", constant={"type": "string"}, value={}),
            _origin(
                "A look at a running or written system, and the place where it showed the value.",
                observed={"enum": ["code", "command", "worker", "broker", "beat", "measurement"]},
                place={"type": "string"},
            ),
            _origin(
                "A default of Celery, by Celery's name for it, and the version; no file sets the value.",
                default={"type": "string"},
                celery={"type": "string"},
            ),
        ]
    },
}
