"""The only room that formats for people and machines: findings, explanations, the overview of tasks."""

from policycompiler.report.comparison import comparison_text, files_text
from policycompiler.report.explain import UnknownAddressError, explain, explain_json, is_address
from policycompiler.report.findings import DOCUMENT_FORMATS, FORMATS, OutputFormat, render
from policycompiler.report.located import Program
from policycompiler.report.overview import overview, overview_json
from policycompiler.report.text import clean

__all__ = [
    "DOCUMENT_FORMATS",
    "FORMATS",
    "OutputFormat",
    "Program",
    "UnknownAddressError",
    "clean",
    "comparison_text",
    "explain",
    "explain_json",
    "files_text",
    "is_address",
    "overview",
    "overview_json",
    "render",
]
