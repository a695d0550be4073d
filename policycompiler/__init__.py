"""policycompiler: from a short workload YAML to a Celery deployment that explains itself."""

from policycompiler.compiler import Compilation, compile_workload
from policycompiler.diagnostics import Diagnostic, Severity
from policycompiler.plan import Plan

__version__ = "0.1.0"

__all__ = ["Compilation", "Diagnostic", "Plan", "Severity", "__version__", "compile_workload"]
