"""policycompiler: from a short workload YAML to a Celery deployment that explains itself."""

# Nothing is imported here: until `policycompiler.__main__` runs, an interrupt ends with Python's traceback.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from policycompiler.compiler import Compilation, compile_workload
    from policycompiler.diagnostics import Diagnostic, Severity
    from policycompiler.plan import Plan

__version__ = "0.1.0"

__all__ = ["Compilation", "Diagnostic", "Plan", "Severity", "__version__", "compile_workload"]

_ROOMS = {
    "Compilation": "compiler",
    "Diagnostic": "diagnostics",
    "Plan": "plan",
    "Severity": "diagnostics",
    "compile_workload": "compiler",
}


def __getattr__(name: str) -> object:
    # Celery imports this package whenever it starts, for `celery policy`; it need not pay for the compiler.
    if name in _ROOMS:
        from importlib import import_module  # noqa: PLC0415

        return getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)
