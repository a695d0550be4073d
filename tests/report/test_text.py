"""What is printed shows no secret."""

from __future__ import annotations

import pytest

from policycompiler.model.anywhere import refused_anywhere
from policycompiler.report.text import masked

SECRETS = (
    *("password", "passwd", "passphrase", "secret", "secret_key", "secretkey", "api_key", "api-key"),
    *("access_key", "credential", "credentials", "token", "auth_token", "DB-PASSWORD"),
)
HARMLESS = ("tokens", "secretary", "keypassword", "key", "apikeys")


@pytest.mark.parametrize("name", SECRETS)
def test_what_is_called_a_secret_is_refused_and_masked(name: str) -> None:
    assert [finding.code for finding in refused_anywhere({name: "x9"})] == ["PC109"]
    assert masked(f"{name}: x9") == f"{name}: ***"
    assert masked(f"{{a: 1, '{name}': x9}}") == f"{{a: 1, '{name}': ***}}"


@pytest.mark.parametrize("name", HARMLESS)
def test_what_only_sounds_like_one_is_neither(name: str) -> None:
    assert list(refused_anywhere({name: "x9"})) == []
    assert masked(f"{name}: x9") == f"{name}: x9"
