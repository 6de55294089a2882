"""Credentials are known by name and by look; what is none stays as it is."""

from __future__ import annotations

import pytest

from beacon_cli.masking import MASK, credentials, is_credential, masked

JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJtb2RhbCJ9.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    "name",
    [
        "MODAL_IDENTITY_TOKEN",
        "MODAL_TOKEN_ID",
        "MODAL_TOKEN_SECRET",
        "token",
        "hf_token",
        "apiKey",
        "api_key",
        "x-api-key",
        "API keys",
        "password",
        "DB_PASSWD",
        "client_secret",
        "secrets",
        "secret_value",
        "token_value",
        "AWS_ACCESS_KEY_ID",
        "aws_secret_access_key",
        "Authorization",
        "Set-Cookie",
        "cookies",
        "private.key",
        "credentials",
    ],
)
def test_names_of_credentials(name: str) -> None:
    """Names of credentials are known whatever their case and whatever stands between the words."""
    assert is_credential(name)


@pytest.mark.parametrize(
    "name",
    [
        "tokens",
        "tokens_generated",
        "max_tokens",
        "tokenizer",
        "key",
        "model",
        "region",
        "gpu_memory_used",
        "author",
        "secretary",
        "keyboard",
        "BEACON_HOME",
        "PWD",
        "OLDPWD",
        "",
    ],
)
def test_other_names(name: str) -> None:
    """Counts of tokens and ordinary words are no credentials."""
    assert not is_credential(name)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"bad token {JWT}!", f"bad token {MASK}!"),
        ("as-Abc123Abc123Abc123Abc1 is unknown", f"{MASK} is unknown"),
        (
            "environ({'MODAL_IDENTITY_TOKEN': 'xyz', 'A': 'b'})",
            f"environ({{'MODAL_IDENTITY_TOKEN': {MASK}, 'A': 'b'}})",
        ),
        ("HF_TOKEN=abc PATH=/bin", f"HF_TOKEN={MASK} PATH=/bin"),
        ("('API_KEY', 'abc')", f"('API_KEY', {MASK})"),
        ("redis://user:hunter2@host:6379/0", f"redis://{MASK}@host:6379/0"),
    ],
)
def test_what_looks_like_a_credential_is_masked(text: str, shown: str) -> None:
    """Known looks, what is assigned to a credential's name, passwords in addresses: they go, the rest stays."""
    assert masked(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "max_tokens: 500",
        "unexpected token: identifier",
        "CUDA out of memory. Tried to allocate 2.00 GiB",
        "as-is, ak-47",
        "https://example.org:443/a@b",
        "line 3: eyJ",
    ],
)
def test_ordinary_errors_stay(text: str) -> None:
    """Errors that speak of tokens and addresses are left alone."""
    assert masked(text) == text


def test_known_values_are_masked_whole() -> None:
    """The values of the environment's credentials go, the longest first; short ones would be found everywhere."""
    values = credentials(
        {"MODAL_TOKEN_SECRET": "s3cr3t-long", "API_KEY": "s3cr3t", "PASSWORD": "a", "HOME": "/home"}
    )
    assert values == ["s3cr3t-long", "s3cr3t", "a"]
    assert masked("s3cr3t-long s3cr3t at /home", values) == f"{MASK} {MASK} at /home"


@pytest.mark.parametrize(
    "text",
    [
        "eyJ" * 200_000,
        "-eyJaaaaaa" * 50_000,
        "eyJaaaaa.eyJaaaaaa" * 30_000,
        "A" * 500_000,
        "://" * 200_000,
        "a:" * 300_000,
        "TOKEN=" * 100_000,
    ],
)
def test_masking_takes_time_in_proportion(text: str) -> None:
    """No text makes the patterns go back and forth: half a megabyte is read through in the test's time limit."""
    assert isinstance(masked(text), str)
