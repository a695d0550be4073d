"""The only room that formats for people and machines: findings, explanations, the overview of tasks."""

from policycompiler.report.comparison import comparison_text, files_text
from policycompiler.report.explain import UnknownAddressError, explain, explain_json, is_address
from policycompiler.report.findings import FORMATS, OutputFormat, render
from policycompiler.report.overview import overview, overview_json

__all__ = [
    "FORMATS",
    "OutputFormat",
    "UnknownAddressError",
    "comparison_text",
    "explain",
    "explain_json",
    "files_text",
    "is_address",
    "overview",
    "overview_json",
    "render",
]
