"""The only room that formats for people and machines: findings, explanations, tasks, changes.

This module exports what every command prints. Commands import explanations, overviews and reviews themselves.
"""

from policycompiler.report.comparison import comparison_text, files_text
from policycompiler.report.findings import DOCUMENT_FORMATS, FORMATS, OutputFormat, render
from policycompiler.report.located import Program
from policycompiler.report.text import clean, counted

__all__ = [
    "DOCUMENT_FORMATS",
    "FORMATS",
    "OutputFormat",
    "Program",
    "clean",
    "comparison_text",
    "counted",
    "files_text",
    "render",
]
