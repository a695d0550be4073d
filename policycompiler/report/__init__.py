"""The only room that formats for people and machines: findings, explanations, tasks, changes."""

from policycompiler.report.change_titles import title as change_title
from policycompiler.report.comparison import comparison_text, files_text
from policycompiler.report.explain import UnknownAddressError, explain, explain_json, is_address
from policycompiler.report.findings import DOCUMENT_FORMATS, FORMATS, OutputFormat, render
from policycompiler.report.located import Program
from policycompiler.report.overview import overview, overview_json
from policycompiler.report.review import Half, Reviewed, doubts, review_json
from policycompiler.report.review_markdown import no_review_markdown, review_markdown, rollout_markdown
from policycompiler.report.review_text import review_text
from policycompiler.report.text import clean

__all__ = [
    "DOCUMENT_FORMATS",
    "FORMATS",
    "Half",
    "OutputFormat",
    "Program",
    "Reviewed",
    "UnknownAddressError",
    "change_title",
    "clean",
    "comparison_text",
    "doubts",
    "explain",
    "explain_json",
    "files_text",
    "is_address",
    "no_review_markdown",
    "overview",
    "overview_json",
    "render",
    "review_json",
    "review_markdown",
    "review_text",
    "rollout_markdown",
]
