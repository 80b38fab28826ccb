"""Credentials made at random, and the lines of code that they are planted in.

Start at `secret_of` and `line_of`. Nothing here or in what is made opens anything: each value is drawn from a seeded
generator in the shape that its service documents, and its telling prefix is joined only when it is made.
"""

from __future__ import annotations

import base64
import json
import string
from dataclasses import dataclass
from random import Random

from quality.credentials import CREDENTIALS

LOWER, UPPER, DIGITS = string.ascii_lowercase, string.ascii_uppercase, string.digits
ALPHANUMERIC = LOWER + UPPER + DIGITS
FORMS = ("assigned", "argument", "comment")
_COMMENTS = {"python": "#"}
_ASSIGNED = {
    "python": '{name} = "{value}"',
    "java": 'String {name} = "{value}";',
    "javascript": 'const {name} = "{value}";',
    "typescript": 'const {name} = "{value}";',
    "csharp": 'string {name} = "{value}";',
    "go": '{name} := "{value}"',
    "rust": 'let {name} = "{value}";',
}


@dataclass(frozen=True)
class Planted:
    """A credential as it stands in code.

    Args:
        kind: One of `CREDENTIALS`.
        name: What it is assigned to; some kinds are told by it.
        value: The text of the literal.
        secret: The part of it that must go.
    """

    kind: str
    name: str
    value: str
    secret: str


def _drawn(random: Random, alphabet: str, length: int) -> str:
    """Draw letters with a digit among them, so that nothing is a word."""
    letters = random.choices(alphabet, k=length)
    if set(alphabet) & set(DIGITS):
        letters[length // 2] = random.choice(sorted(set(alphabet) & set(DIGITS)))
    if set(alphabet) & set(string.ascii_letters):
        letters[length // 2 - 1] = random.choice(sorted(set(alphabet) & set(string.ascii_letters)))
    return "".join(letters)


def _part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def secret_of(kind: str, random: Random) -> Planted:
    """Make a credential of a kind."""
    name, before, behind = "value", "", ""
    hexadecimal = DIGITS + "abcdef"
    token = ALPHANUMERIC + "_-"
    if kind == "anthropic":
        secret = "sk" + "-ant-api03-" + _drawn(random, token, 93) + "AA"
    elif kind == "artifactory":
        secret = random.choice(["AK" + "C", "AP" + "5"]) + _drawn(random, ALPHANUMERIC, 40)
    elif kind == "aws":
        if random.random() < 0.5:
            secret = random.choice(["AK" + "IA", "AS" + "IA"]) + _drawn(random, UPPER + DIGITS, 16)
        else:
            name, secret = "aws_secret_access_key", _drawn(random, ALPHANUMERIC + "/+", 40)
    elif kind == "azure":
        secret = _drawn(random, ALPHANUMERIC + "+/", 86) + "=="
        before, behind = "DefaultEndpointsProtocol=https;AccountName=data;Account" + "Key=", ";EndpointSuffix=core"
    elif kind == "basic_auth":
        secret = _drawn(random, ALPHANUMERIC + "-_.", 14)
        before, behind = "postgres://service:", "@db.internal.corp:5432/main"
    elif kind == "cloudant":
        name, secret = random.choice(["cloudant_key", "cl_apikey"]), _drawn(random, hexadecimal, 64)
    elif kind == "discord":
        secret = ".".join(["M" + _drawn(random, token, 23), _drawn(random, token, 6), _drawn(random, token, 27)])
    elif kind == "github":
        secret = random.choice(["gh" + "p_", "gh" + "s_"]) + _drawn(random, ALPHANUMERIC, 36)
    elif kind == "github_fine_grained":
        secret = "github" + "_pat_" + _drawn(random, ALPHANUMERIC, 22) + "_" + _drawn(random, ALPHANUMERIC, 59)
    elif kind == "gitlab":
        secret = "gl" + "pat-" + _drawn(random, ALPHANUMERIC, 20)
    elif kind == "google_api_key":
        secret = "AI" + "za" + _drawn(random, token, 35)
    elif kind == "hugging_face":
        secret = "h" + "f_" + _drawn(random, LOWER + UPPER, 34)
    elif kind == "ibm_cloud":
        name, secret = "ibm_cloud_api_key", _drawn(random, ALPHANUMERIC, 44)
    elif kind == "ibm_cos":
        name, secret = "cos_hmac_secret_access_key", _drawn(random, hexadecimal, 48)
    elif kind == "jwt":
        parts = [
            {"alg": "HS256", "typ": "JWT"},
            {"sub": _drawn(random, ALPHANUMERIC, 12), "iat": random.getrandbits(31)},
        ]
        secret = ".".join([*map(_part, parts), _drawn(random, token, 43)])
    elif kind == "keyword":
        name = random.choice(["api_key", "db_password", "client_secret", "authKey"])
        secret = _drawn(random, ALPHANUMERIC, 32)
    elif kind == "mailchimp":
        secret = _drawn(random, hexadecimal, 32) + "-us" + str(random.randint(1, 20))
    elif kind == "npm":
        secret, before = "np" + "m_" + _drawn(random, ALPHANUMERIC, 36), "//registry.corp/:_auth" + "Token="
    elif kind == "openai":
        secret = "sk" + "-" + _drawn(random, ALPHANUMERIC, 20) + "T3Blbk" + "FJ" + _drawn(random, ALPHANUMERIC, 20)
    elif kind == "openai_project":
        secret = "sk" + "-proj-" + _drawn(random, token, 74) + _drawn(random, token, 74)
    elif kind == "private_key":
        lines = [_drawn(random, ALPHANUMERIC + "+/", 64) for _ in range(6)] + [_drawn(random, ALPHANUMERIC, 11) + "="]
        secret = r"\n".join(lines)
        before, behind = "-----BEGIN RSA " + r"PRIVATE KEY-----\n", r"\n-----END RSA " + "PRIVATE KEY-----"
    elif kind == "pypi":
        secret = "py" + "pi-AgEIcHlwaS5vcmc" + _drawn(random, token, 80)
    elif kind == "sendgrid":
        secret = "S" + "G." + _drawn(random, token, 22) + "." + _drawn(random, token, 43)
    elif kind == "slack":
        numbers = _drawn(random, DIGITS, 11) + "-" + _drawn(random, DIGITS, 12)
        secret = "xo" + f"xb-{numbers}-" + _drawn(random, ALPHANUMERIC, 24)
    elif kind == "softlayer":
        name, secret = "softlayer_api_key", _drawn(random, LOWER + DIGITS, 64)
    elif kind == "square":
        secret = "sq0" + "csp-" + _drawn(random, token, 43)
    elif kind == "stripe":
        secret = random.choice("rs") + "k_li" + "ve_" + _drawn(random, ALPHANUMERIC, 24)
    elif kind == "telegram":
        secret = _drawn(random, "123456789", 10) + ":" + "AA" + _drawn(random, ALPHANUMERIC, 33)
    else:
        assert kind == "twilio", f"no maker for {kind}; known: {', '.join(CREDENTIALS)}"
        secret = random.choice(["A" + "C", "S" + "K"]) + _drawn(random, hexadecimal, 32)
    return Planted(kind, name, before + secret + behind, secret)


def line_of(planted: Planted, form: str, language: str) -> str:
    """Return a line of code that holds a credential.

    Args:
        planted: The credential.
        form: One of `FORMS`.
        language: The file's language.
    """
    if form == "assigned":
        return _ASSIGNED[language].format(name=planted.name, value=planted.value)
    if form == "argument":
        given = f'connect({planted.name}="{planted.value}")'
        return _ASSIGNED[language].format(name="client", value="").replace('""', given)
    return f'{_COMMENTS.get(language, "//")} {planted.name}: "{planted.value}"'
