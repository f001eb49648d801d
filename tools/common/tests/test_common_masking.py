"""Secrets are found and masked, however they are hidden; other text is left alone."""

import json
from typing import Any

import pytest
from cclake_common.hidden import uncover
from cclake_common.masking import MASK, mask, mask_value
from hypothesis import given
from hypothesis import strategies as st

# Put together here, so that no scanner takes this file for a leak.
TOKENS = {
    "github": "ghp_" + "a1B2c3D4e5F6" * 3,
    "github fine-grained": "github_pat_" + "A1b2" * 12,
    "anthropic": "sk-" + "ant-api03-" + "Ab1_" * 20,
    "aws key": "AKIA" + "ABCDEFGHIJ234567",
    "google": "AIza" + "Sy" + "A1b2C" * 6 + "xyz",
    "google access": "ya29" + ".a0AfH6SMBx" + "a1B2" * 8,
    "google client": "GOCSPX" + "-" + "a1B2c3D4e5F6" * 2,
    "slack": "xoxb-" + "123456789012-" * 2 + "abcdefabcdef",
    "stripe": "sk_live_" + "a1b2c3d4" * 3,
    "stripe, long": "sk_live_" + "a1b2c3d4" * 12,
    "gitlab": "glpat-" + "a1B2c3D4e5F6g7H8i9J0",
    "jwt": "eyJ" + "hbGciOiJIUzI1NiJ9" + "." + "eyJzdWIiOiIxIn0" + "." + "c2lnbmF0dXJl",
    "npm": "npm_" + "a1B2c3D4e5F6" * 3,
    "hugging face": "hf_" + "aBcDeFgHiJ" * 3 + "kLmN",
    "digitalocean": "dop_v1" + "_" + "a1b2c3d4" * 8,
    "digitalocean oauth": "doo_v1" + "_" + "a1b2c3d4" * 8,
    "vault": "hvs" + ".CAESI" + "a1B2c3D4" * 4,
    "age": "AGE-SECRET-KEY-"
    + "1QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7LQPZRY9X8GF2TVDW0S3JN54KHC",
    "databricks": "dapi" + "a1b2c3d4" * 4,
    "shopify": "shpat_" + "a1b2c3d4" * 4,
    "telegram": "123456789" + ":AA" + "a1B2c3D4e5F6a1B2c3D4e5F6a1B2c3D4e",
    "grafana": "glsa_" + "a1B2c3D4" * 4 + "_a1b2c3d4",
    "tailscale": "tskey-" + "auth-" + "a1B2c3D4e5F6a1B2",
    "private key": "-----BEGIN RSA PRIVATE KEY-----\nMIIabc\ndef\n-----END RSA PRIVATE KEY-----",
}
# A password with everything that ends a word, a text or an address elsewhere.
ODD = "p@ss\"w'örd#1/密"
PAIR = "dXNlcjpwYXNz" + "d29yZA=="  # user:password
NAMED = (
    ("DB_PASSWORD={}", "hunter2"), ("DB_PASSWORD={}", ODD), ("export DB_PASSWORD='{}'", 'a "b" @c'),
    ('DB_PASSWORD="{}" ./run', "two words"), ("MYSQL_ROOT_PASSWORD: {}", "hunter2"),
    ("PGPASSWORD={} psql", "x"), ("DB_PASSWORD_PROD={}", "hunter2"), ("API_TOKEN={}", "abcd12"),
    ("AWS_SECRET_ACCESS_KEY={}", "wJalrXUtnFEMI/K7MDENG/bPxRfi"), ("STRIPE_KEY={}", "abcd1234efgh5678"),
    ("  db_password: {}", "correct horse battery"), ("password: {}", "hunter2"),
    ("password: '{}'", 'with "marks"'), ("- name: DB_PASSWORD\n  value: {}", "hunter2"),
    ('{{"password":"{}"}}', 'a\\"b@c'), ('"db_password" : "{}",', "ünï @ code"),
    ('{{"command":"export DB_PASSWORD={}"}}', "hunter2"), ("`DB_PASSWORD={}`", "hunter2"),
    ('{{"a":"{{\\"password\\":\\"{}\\"}}"}}', 'x\\\\\\"y@z'),
    ("https://x/y?password={}&a=1", "hunter2"), ("https://x/?api_key={}", "abcdefgh1234"),
    ("https://x/y?sig={}", "a1B2c3D4e5F6a1B2"), ("Server=x;Pwd={};Uid=a", "hunter2"),
    ("spring.datasource.password={}", "hunter"), ("password = '{}'", "hunter2"),
    ('const password: string = "{}"', "hunter2"), ("tool --password {}", "hunter2"),
    ("tool --api-key={}", "abcd1234"), ("ENV DB_PASSWORD {}", "hunter2"),
    ("machine x login me password {}", "hunter2"), ("<password>{}</password>", "hunter2"),
    ("ALTER USER a IDENTIFIED BY '{}'", "hunter2"), ("CREATE ROLE a PASSWORD '{}'", "hunter2"),
    ("mysql -u root -p{} db", "hunter2"), ("sshpass -p {} ssh x", "hunter2"),
    ("curl -u me:{} https://x", "hunter2"), ("X-Api-Key: {}", "abcd1234efgh5678"),
    ("Authorization: Basic {}", PAIR), ("-H 'authorization: basic {}'", PAIR), ("Basic {}", PAIR),
    ("Authorization: Bearer {}", "abc123def456"), ("Cookie: {}", "session=abcdef"),
    ('{{"auths":{{"https://index.docker.io/v1/":{{"auth":"{}"}}}}}}', PAIR),
    ("redis://:{}@cache:6379/0", "pw"), ("redis://:{}@cache", ODD), ("postgres://me:{}@db/x", "hunter2"),
    ("amqp://me:{}@mq", "p/w@x"), ('"redis://:{}@cache","mail":"me@x.org"', 's3cr\\"et'),
    ("https://{}@github.com/x", "a1B2c3D4e5F6" * 3),
)  # fmt: skip


@pytest.mark.parametrize("kind", TOKENS)
def test_a_token_is_masked_within_its_words(kind: str) -> None:
    secret = TOKENS[kind]
    masked = mask(f"before {secret} after")
    assert secret not in masked
    assert MASK in masked
    assert masked.startswith("before ")
    body = secret.split("-----")[2] if kind == "private key" else secret[9:]
    assert body not in masked
    assert masked.endswith(" after")


@pytest.mark.parametrize("kind", TOKENS)
def test_a_token_inside_json_is_masked_and_the_json_stays_whole(kind: str) -> None:
    value = {"a": [{"b": TOKENS[kind]}], TOKENS[kind]: 1, "n": 1.5, "x": None}
    masked = mask_value(value)
    assert TOKENS[kind] not in json.dumps(masked, ensure_ascii=False)
    assert json.dumps(TOKENS[kind])[1:-1] not in json.dumps(masked)
    assert masked["n"] == 1.5
    text = json.dumps(value)
    assert json.loads(mask(text))["n"] == 1.5
    assert TOKENS[kind][9:] not in mask(text)


HIDERS = (
    "\x1b[31m", "\x1b[0m", "\x1b]8;;x\x07", "\x9b1m", "\x00", "\x08", "\x7f", "\u200b",
    "\u200d", "\u2060", "\ufeff", "\u00ad", "\u202e", "\u2066", "\ufe0f", "\u034f",
    "\u3164", "\U000e0061", "\r",
)  # fmt: skip


@pytest.mark.parametrize("hider", HIDERS, ids=ascii)
@pytest.mark.parametrize("kind", ["github", "anthropic", "vault", "aws key", "jwt"])
def test_characters_that_nobody_sees_hide_no_token(kind: str, hider: str) -> None:
    token = TOKENS[kind]
    for broken in (
        token[:2] + hider + token[2:], token[:12] + hider + token[12:],
        "word" + hider + token + hider, hider.join(token),
    ):  # fmt: skip
        masked = mask(f"before {broken} after")
        assert MASK in masked, broken
        assert token[12:] not in masked.replace(hider, "")
        assert masked.startswith("before ")
        escaped = json.dumps({"t": broken, "n": 1})
        seen = json.loads(mask(escaped))
        assert seen["n"] == 1
        assert token[12:] not in seen["t"].replace(hider, "")


@pytest.mark.parametrize("hider", HIDERS, ids=ascii)
def test_characters_that_nobody_sees_hide_no_name_and_no_value(hider: str) -> None:
    for text in (
        f"DB_PASS{hider}WORD=hunter2 x",
        f"DB_PASSWORD={hider}hun{hider}ter2 x",
    ):
        masked = mask(text)
        assert MASK in masked
        assert "ter2" not in masked
        assert masked.endswith(" x")


def test_letters_that_json_spells_as_escapes_hide_no_token() -> None:
    spelled = "".join(f"\\u{ord(c):04x}" for c in TOKENS["github"])
    assert MASK in mask(f'{{"a":"{spelled}","b":1}}')
    assert json.loads(mask(f'{{"a":"{spelled}","b":1}}'))["b"] == 1
    assert (
        mask('"\\u001b[31mred\\u001b[0m \\u0041"')
        == '"\\u001b[31mred\\u001b[0m \\u0041"'
    )


@pytest.mark.parametrize(("form", "secret"), NAMED)
def test_what_a_name_calls_secret_is_masked_and_nothing_around_it(
    form: str, secret: str
) -> None:
    masked = mask(form.format(secret))
    assert secret not in masked
    before, _, after = form.format("\0").partition("\0")
    assert masked.startswith(before), masked
    assert masked.endswith(after) or "=" in form, masked
    assert MASK in masked
    assert not any(
        part in masked[len(before) :] for part in secret.split() if len(part) > 3
    )


@pytest.mark.parametrize(
    "value",
    [
        {"password": "hunter2"}, {"DB_PASSWORD": "hunter2 x"}, {"clientSecret": "hunter2"},
        {"env": [{"name": "API_TOKEN", "value": "hunter2"}]}, {"passwords": ["hunter2"]},
        {"a": '{"password": "hunter2"}'}, {"x": "DB_PASSWORD=hunter2"}, {"password": 7312},
        {"headers": {"Authorization": "hunter2"}}, {"auth": PAIR}, {"api-key": "hunter2xyz"},
    ],
)  # fmt: skip
def test_values_of_json_are_masked_by_their_names(value: Any) -> None:
    masked = json.dumps(mask_value(value), ensure_ascii=False)
    assert MASK in masked
    assert not any(secret in masked for secret in ("hunter2", PAIR, "7312"))


def test_values_of_json_that_only_look_alike_stay() -> None:
    value = {
        "input_tokens": 12, "max_tokens": 5, "token_count": 3, "key": "value", "tokens": [1],
        "keyboard": "qwertz", "type": "password", "auth": "none", "password": "", "pwd": "/x",
        "session_key_name": "abc", "secret": None, "primary_key": "id", "token": 5,
    }  # fmt: skip
    assert mask_value(value) == value


PLAIN = (
    "the api key is in the vault", "sk-learn is nice", "password: see above",
    "commit 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b", "class eyJump: pass",
    "10.0.0.1 and 8.8.8.8", "uuid 11111111-1111-4111-8111-111111111111",
    "password = get_password()", "token: str", "  token: string;", "token = await getToken()",
    "max_tokens: 4096", "input_tokens=123", "login(password=password)", "PASS: test_one",
    "API_KEY=os.environ['X']", "PASSWORD = settings.PASSWORD", "DB_PASSWORD=$DB_PASSWORD",
    "DB_PASSWORD=${DB_PASSWORD}", "password: z.string().min(8)", "PASS=12 WARN=0 ERROR=0",
    "Basic functionality works", "basic auth is used", "bearer authentication",
    "https://example.org/a:b", "http://localhost:3000/@scope/x", "http://127.0.0.1:80/users/@me",
    "ssh://git@github.com/x", "PWD=/home/me", "OLDPWD=/x", "compass=north", "bypass: yes",
    '<input type="password" name="password" />', "<label>Password</label>", "secretName: foo",
    "password: String,", "def f(password: str, token: Optional[str] = None):", "pass = 5",
    "kubectl create secret generic x", "${{ secrets.GITHUB_TOKEN }}", "PRIMARY_KEY=id",
    "TOKEN_LIMIT=100", "PASSWORD_FILE=/run/secrets/x", "password: req.body.password,",
    "password reset: done", "authorization: required", "postgres://${USER}:${PASS}@host",
    "postgres://user:<password>@host", 'credentials: "include"', "Enter password: ",
    "secret: true", "the secret: never give up", "self.token = token",
)  # fmt: skip


@pytest.mark.parametrize("text", PLAIN)
def test_ordinary_talk_of_secrets_is_not_blacked_out(text: str) -> None:
    assert mask(text) == text


@given(st.text(alphabet=st.characters(whitelist_categories=["L", "Z"]), max_size=300))
def test_words_alone_are_left_alone(text: str) -> None:
    assert mask(text) == text


@given(st.text())
def test_masking_twice_is_masking_once(text: str) -> None:
    once = mask(text)
    assert mask(once) == once


@given(
    st.lists(st.sampled_from([*HIDERS, "a", "b\n", "\\u0041", "\\n", "ü"]), max_size=20)
)
def test_what_is_seen_lies_where_it_was(parts: list[str]) -> None:
    whole = "".join(parts)
    seen = uncover(whole)
    for at, letter in enumerate(seen.text if seen else ""):
        start, end = seen.back(at, at + 1) if seen else (0, 0)
        assert whole[start:end] in (letter, f"\\u{ord(letter):04x}")


@pytest.mark.parametrize(
    "part",
    ["password", "password=", "key=", "secret:", "://a:", "://a:b@", "token ", '"', "\\", "auth=",
     "curl -u ", "mysql -p", "Basic ", "eyJ", "eyJ.", "\x1b[", "\u200b", "\\u200b", "ghp_", "sk-",
     "cookie:", "Authorization: ", "DB_PASSWORD='", 'password":"', "-----BEGIN PRIVATE KEY-----"],
)  # fmt: skip
def test_a_text_made_to_take_long_takes_as_long_as_it_is(part: str) -> None:
    # Were it quadratic, ten thousand of them would not end within the limit of a test.
    mask(part * 10_000)
    mask(f"DB_PASSWORD={part * 10_000}")
