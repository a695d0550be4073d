"""The mathematics of waiting lines: how many slots a queue needs, and how long its messages wait.

Pure: no file, clock or configuration.
"""

from __future__ import annotations

from policycompiler.sizing.erlang import erlang_b, erlang_c
from policycompiler.sizing.services import Service, constant, exponential, lognormal, mixture

__all__ = ["Service", "constant", "erlang_b", "erlang_c", "exponential", "lognormal", "mixture"]
