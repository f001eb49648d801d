"""Secrets are found and masked; other text is left alone."""

import json

import pytest
from cclake_web.masking import MASK, has_hint, mask, mask_value
from hypothesis import given
from hypothesis import strategies as st

# Put together here, so that no scanner takes this file for a leak.
SECRETS = {
    "github": "ghp_" + "a1B2c3D4e5F6" * 3,
    "github fine-grained": "github_pat_" + "A1b2" * 12,
    "anthropic": "sk-" + "ant-api03-" + "Ab1_" * 20,
    "aws key": "AKIA" + "ABCDEFGHIJ234567",
    "google": "AIza" + "Sy" + "A1b2C" * 6 + "xyz",
    "slack": "xoxb-" + "123456789012-" * 2 + "abcdefabcdef",
    "stripe": "sk_live_" + "a1b2c3d4" * 3,
    "gitlab": "glpat-" + "a1B2c3D4e5F6g7H8i9J0",
    "jwt": "eyJ" + "hbGciOiJIUzI1NiJ9" + "." + "eyJzdWIiOiIxIn0" + "." + "c2lnbmF0dXJl",
    "npm": "npm_" + "a1B2c3D4e5F6" * 3,
    "hugging face": "hf_" + "aBcDeFgHiJ" * 3 + "kLmN",
    "private key": "-----BEGIN RSA PRIVATE KEY-----\nMIIabc\ndef\n-----END RSA PRIVATE KEY-----",
}


@pytest.mark.parametrize("kind", SECRETS)
def test_a_secret_is_masked_within_its_words(kind: str) -> None:
    secret = SECRETS[kind]
    masked = mask(f"before {secret} after")
    assert secret not in masked
    assert MASK in masked
    assert masked.startswith("before ")
    body = secret.split("-----")[2] if kind == "private key" else secret[8:]
    assert body not in masked
    if kind != "jwt":
        assert masked.endswith(" after")


@pytest.mark.parametrize("kind", SECRETS)
def test_a_secret_inside_json_is_masked_and_the_json_stays_whole(kind: str) -> None:
    value = {"a": [{"b": SECRETS[kind]}], SECRETS[kind]: 1, "n": 1.5, "x": None}
    masked = mask_value(value)
    assert SECRETS[kind] not in json.dumps(masked, ensure_ascii=False)
    assert json.dumps(SECRETS[kind])[1:-1] not in json.dumps(masked)
    assert masked["n"] == 1.5


def test_a_password_in_an_address_is_masked_and_the_address_stays() -> None:
    assert mask("postgres://me:hunter22@db/x") == f"postgres://me:{MASK}@db/x"
    assert mask("https://example.org/a:b") == "https://example.org/a:b"


def test_the_value_of_a_bearer_header_is_masked() -> None:
    masked = mask("Authorization: Bearer " + "abcDEF123456" * 3)
    assert masked == f"Authorization: Bearer {MASK}"


@given(
    st.text(
        alphabet=st.characters(whitelist_categories=["L", "N", "P", "Z"]), max_size=300
    )
)
def test_text_without_a_hint_is_left_alone(text: str) -> None:
    if not has_hint(text):
        assert mask(text) == text


@given(st.text())
def test_masking_twice_is_masking_once(text: str) -> None:
    once = mask(text)
    assert mask(once) == once


def test_ordinary_talk_of_keys_is_not_blacked_out() -> None:
    for text in ("the api key is in the vault", "sk-learn is nice", "password: see above",
                 "commit 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b", "class eyJump: pass",
                 "10.0.0.1 and 8.8.8.8", "uuid 11111111-1111-4111-8111-111111111111"):  # fmt: skip
        assert mask(text) == text
