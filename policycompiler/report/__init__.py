"""The only room that formats for people and machines: findings, explanations, tasks, changes.

Here is what every command prints. Explanations, overviews and reviews are imported by those that print them.
"""

from policycompiler.report.comparison import comparison_text, files_text
from policycompiler.report.findings import DOCUMENT_FORMATS, FORMATS, OutputFormat, render
from policycompiler.report.located import Program
from policycompiler.report.text import clean

__all__ = [
    "DOCUMENT_FORMATS",
    "FORMATS",
    "OutputFormat",
    "Program",
    "clean",
    "comparison_text",
    "files_text",
    "render",
]
