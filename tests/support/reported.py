"""Findings for the tests of how they are printed: of each severity, waived, hostile."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from policycompiler.diagnostics import Diagnostic, Place, Related, Waived, error, info, warning
from policycompiler.load import Document, load

RETRY = error("PC204", "retry-non-idempotent")
LATE = warning("PC401", "late")
HINT = info("PC101", "hint")

TEXT = """\
version: 1
broker: {visibility_timeout: 1h}
tasks:
  shop.pay:
    idempotent: false
    retry: {on: [OSError], max: 3}
"""
PAY = ("tasks", "shop.pay")
WAIVED = Waived("charges carry a key", "storefront", "2027-03-31")

EVIL = (
    "a%0Ab,c:d]\r\n::error::e\x1b[2J\u202e\u200b\x00\ufffe <b>&amp;</b> ]]> @everyone #12 [x](http://y) "
    "![i](z) `c` ``d | e ${x} {0} *f* _g_ ~~h~~ https://z www.z.de $i$ :tada: \\`\udc80 redis://u:s3cret@host"
)
"""What other people's texts and names may hold, with a password at the end."""


def document_of(text: str = TEXT, file: str = "pay.yaml") -> Document:
    """The workload of one file in the current folder."""
    path = Path(file)
    path.write_text(text, encoding="utf-8")
    document, _ = load([path])
    return document


def findings() -> list[Diagnostic]:
    """An error with help and a related place, a warning, a hint about no file, and a waived error."""
    declared = Related((*PAY, "idempotent"), "declared here")
    return [
        RETRY.at((*PAY, "retry", "max"), "would retry", help="write `retry: none`", related=(declared,)),
        LATE.at(("broker", "visibility_timeout"), "100% late"),
        HINT.at((), "about all", place=Place("", 1, 1)),
        replace(RETRY.at((*PAY, "retry"), "would retry too"), waived=WAIVED),
    ]


def hostile() -> list[Diagnostic]:
    """The same text everywhere, once waived."""
    waived = Waived(EVIL, EVIL, "2027-03-31")
    place = Place(EVIL.partition(" redis:")[0].replace("\x00", ""), 1, 1)
    finding = LATE.at((EVIL,), EVIL, help=EVIL, related=(Related((EVIL,), EVIL, place),), place=place)
    return [finding, replace(finding, message=f"{EVIL} again", waived=waived)]
