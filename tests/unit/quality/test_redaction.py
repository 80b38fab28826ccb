from __future__ import annotations

import socket
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from random import Random

import pyarrow as pa
import pytest
from detect_secrets.core.scan import scan_file
from detect_secrets.settings import transient_settings
from pydantic import ValidationError

from quality.credentials import CREDENTIALS, LONGEST_LINE, PLUGINS, findings, whole_escapes
from quality.redaction import BROKE_SYNTAX, KINDS, SPAN_TYPE, Redacted, RedactionSettings, Span, checked, redact
from quality.syntax import parse
from tests.benchmark.bench_secrets import REFERENCE_FILTERS
from tests.benchmark.planted import FORMS, Planted, line_of, secret_of

SETTINGS = RedactionSettings()
ENDINGS = {"python": ".py", "java": ".java", "javascript": ".js", "typescript": ".ts", "csharp": ".cs", "go": ".go"}
ENDINGS["rust"] = ".rs"
AWS = "AK" + "IA" + "Q3EGRZ5TXW7YD2KB"
GITHUB = "gh" + "p_" + "a8Kd0PqLm2Zx9Vb7Nc3Rt6Yu1Iw5Oe4Hs8Fg"


def redacted(text: str, path: str = "a.py", settings: RedactionSettings = SETTINGS) -> Redacted:
    found = redact(text, settings, path)
    assert found is not None
    assert redact(found.text, settings, path) is None, "nothing is found in a redacted text"
    return found


def written(found: Redacted) -> list[str]:
    return [found.text[span.start : span.end] for span in found.spans]


def reference(folder: Path, name: str, text: str) -> set[tuple[int, str]]:
    """Return the bare detector's findings as lines and kinds, without the two filters that ours leaves out."""
    file = folder / name
    file.write_text(text, encoding="utf-8", newline="")
    plugins = {plugin: kind for kind, plugin in PLUGINS.items()}
    with transient_settings(
        {
            "plugins_used": [{"name": plugin} for plugin in plugins],
            "filters_used": [{"path": path} for path in REFERENCE_FILTERS],
        }
    ):
        from detect_secrets.settings import get_plugins

        kinds = {plugin.secret_type: plugins[type(plugin).__name__] for plugin in get_plugins()}
        return {(secret.line_number, kinds[secret.type]) for secret in scan_file(str(file))}


def ours(name: str, text: str) -> set[tuple[int, str]]:
    """Return our findings of the kinds that the detector knows."""
    return {(text.count("\n", 0, found.start) + 1, found.kind) for found in findings(text, name, PLUGINS)}


@pytest.mark.parametrize("kind", CREDENTIALS)
def test_every_kind_is_found_taken_out_and_leaves_a_program(kind: str) -> None:
    random = Random(3)
    for number in range(6):
        made = secret_of(kind, random)
        for language, ending in ENDINGS.items():
            line = line_of(made, "assigned", language)
            if kind == "cloudant" and not ours("a" + ending, line):
                continue  # the detector itself does not know this name
            found = redacted(line, "a" + ending)
            assert made.secret not in found.text
            assert made.name in found.text
            assert len(found.text) == len(line), "a credential keeps its length"
            expected = "detect-secrets" if kind in PLUGINS else "polymix"
            assert {span.detector for span in found.spans} == {expected}
            assert all(set(piece) & set("0") and not piece.strip("0").isalnum() for piece in written(found))
            if number == 0:
                assert checked(line, found, language, ending) is None


@pytest.mark.parametrize("language", ENDINGS)
def test_findings_are_the_detector_s_own(language: str, tmp_path: Path) -> None:
    random = Random(language)
    lines = [line_of(secret_of(kind, random), form, language) for kind in CREDENTIALS for form in FORMS]
    lines += [f"{line}  // pragma: allowlist secret" for line in lines[::5]]
    lines += ["# pragma: allowlist nextline secret", *lines[:2], "password", 'if "bar" == my_password: pass', "eyJ.eyJ"]
    lines += [
        'secret = get_secret("name")',
        "api_key: str = None",
        "PA\u017fSWORD = 'hunter2'",
        "ibm_toKen = ''",
        '"İ"',
    ]
    lines += [
        'const char* secret("value1");',
        "privateKey \x0b'x1y2';",
        'key = "AKIA"',
        "a = b.c.d.e",
        '"""password"""',
    ]
    random.shuffle(lines)
    for end in ("\n", "\r\n"):
        text = end.join(lines)
        name = "a" + ENDINGS[language]
        found = ours(name, text)
        assert found == reference(tmp_path, name, text)
        assert len(found) > 2 * len(PLUGINS)


def test_nothing_leaves_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    random = Random(1)
    text = "\n".join(line_of(secret_of(kind, random), "assigned", "python") for kind in CREDENTIALS)
    assert len(redacted(text).spans) >= len(CREDENTIALS)


def test_the_detector_is_imported_when_it_is_needed_and_leaves_the_standard_library_alone() -> None:
    program = (
        "import configparser, sys\n"
        "from quality.redaction import RedactionSettings, redact\n"
        "assert redact('password = None\\n', RedactionSettings(kinds=('aws', 'email'))) is None\n"
        "assert 'detect_secrets' not in sys.modules\n"
        "assert redact(sys.argv[1], RedactionSettings()) is not None\n"
        "assert 'detect_secrets' in sys.modules\n"
        "assert configparser.ParsingError.__module__ == 'configparser'\n"
    )
    subprocess.run([sys.executable, "-c", program, f'x = "{AWS}"'], check=True)


KEEP = [
    "", "\n", "x = 1", 'url = "https://%s:%s@host"', 'f"http://{user}:{password}@host"', '"https://user:password@host"',
    'password = "Enter your password"', 'password = "changeme"', "password = None", 'secret_name = "db-credentials"',
    'password = getpass("Password: ")', 'if token == "string": pass', '"key": "value"',
    'api_key = os.environ["API_KEY"]',
    'PASSWORD_HASHER = "pbkdf2_sha256"', 'api_key = "your-api-key-here"', 'api_key = "${API_KEY_1}"',
    'secretKey: "<key1>"',
    'sha256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"', '"0123456789abcdef0123456789abcdef"',
    'integrity = "sha512-Ju2tLm5TvHc7D6Z0aWc1yQfUqU6mXQ1kz9u3l5gq8m4w2b7n0c+/8a=="', "AKIA",
    "class APDUResponse : APDU {",
    'if text.startswith("-----BEGIN RSA PRIVATE ' + 'KEY-----"): return parse_the_rest_of_the_private_key_block(text)',
    "def test_ACabcdefghijklmnopqrstuvwxyz0123456789(): pass", '"' + "QUtJQUFCQ0RFRkdISUpLTE1OT1A" * 40 + '"',
    f"hash = '0{AWS}0'",
    "github" + "_pat_" + "x" * 22 + "_" + "X1" * 29 + "X", "AI" + "zaSyXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX", "h" + "f_hub",
    "sk" + "-ant-api03-your-key-goes-here-your-key-goes-here", "sk" + "-proj-...", "h" + "f_" + "abcdefghijklmnopq" * 2,
    "AI" + "zaQ3EGRZ5txw7YD2KBa8Kd0PqLm2Zx9Vb7Nc3R+t6Yu1Iw5Oe", "xAI" + "zaQ3EGRZ5txw7YD2KBa8Kd0PqLm2Zx9Vb7Nc3R",
    # e-mail addresses that are none, or no person's
    "@foo.bar", "@decorator.com", "git@github.com:owner/project.git", "ssh://git@host.org/x", "https://me@host.org/x",
    "scp me@host.org:a/b .", "rsync -a me@host.org:/srv .", "someone@example.com", "x@y.example", "root@localhost",
    "a@b.local", "user@2.0", "react@18.2.0", "npm i foo@next", "lodash@4.17.21.tgz", "golang.org/x/net@v0.1.2",
    "icon@2x.png", "sprite@2x.io", "a @ b.T", "m@n.T", "x@y.conj()", "return@forEach.name", "foo@bar",
    "foo@bar.baz.qux",
    "com.example.Foo@1f3a", "%s@%s.com", "@Inject@Named.class", "a@b.c", "pkg:npm/%40scope/name@1.0.0", "@a/b@c.io",
    "//deno.land/std@host.io/x",
    # addresses of machines that are none, or not public
    "1.2.3.4", "version = '52.16.4.1'", "v52.16.4.1", "52.16.4.1.5", "1.3.6.1.4.1.311", "2.5.29.15",
    "1.2.840.113549.1.1",
    "10.1.2.3", "127.0.0.1", "192.168.99.100", "172.16.254.1", "169.254.169.254", "100.64.9.9", "192.0.2.44",
    "198.51.100.7",
    "203.0.113.200", "198.18.40.1", "224.0.0.251", "255.255.255.255", "0.0.0.0", "52.0.0.0", "300.52.16.40",
    "052.16.4.1",
    "libfoo-52.16.40.1.so", "foo_52.16.40.1", "52.16.40.1-beta", "==52.16.40.1", "^52.16.40.1", "§52.16.40.1",
    "AssemblyVersion(\"52.16.40.1\")", "52.16.40", "a/52.16.40.1/b", "::1", "fe80::1", "fc00::1",
    "2001:db8::8a2e:370:7334",
    "std::fs::read", "a[2001:3000:2]", "2001:30:45", "face::b00c", "Foo::2000::bar", "x = 2000::y", "3fff:0:1::1",
    "ff02::fb",
    "12:30:45", "2024:01:02 10:11:12", "de:ad:be:ef:00:01",
]  # fmt: skip


@pytest.mark.parametrize("text", KEEP)
def test_what_only_looks_like_it_is_kept(text: str) -> None:
    for whole in (text, f'x = "{text}"\r\n', f"# {text}\n"):
        assert redact(whole, SETTINGS, "a.py") is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# Author: Zoë <zoe.b@corp.io>", "# Author: Zoë <user1@example.com>"),
        (
            "a@b.cc, A@B.cc; c@b.cc. a@b.cc",
            "user1@example.com, user1@example.com; user2@example.com. user1@example.com",
        ),
        ("user1@example.com and a@b.de", "user1@example.com and user2@example.com"),
        ('"\\nbob@corp.io\\n"', '"\\nuser1@example.com\\n"'),
        (r'"\\nbob@corp.io"', r'"\\user1@example.com"'),
        (r'"\u0041bob@corp.io"', r'"\u0041user1@example.com"'),
        (r"r'\bbob@corp.io\b'", r"r'\buser1@example.com\b'"),
        ("mailto:bob@corp.io?subject=x", "mailto:user1@example.com?subject=x"),
        ("first.last+tag@sub.corp.co.uk", "user1@example.com"),
        ('{"email":"bob@corp.io"}', '{"email":"user1@example.com"}'),
        ("bob@corp.io:8080", "user1@example.com:8080"),
        ("é@corp.io bob@corp.io", "é@corp.io user1@example.com"),
        ('host = "93.184.216.34"', 'host = "192.0.2.1"'),
        ("8.8.8.8 8.8.4.4 8.8.8.8:53", "192.0.2.1 192.0.2.2 192.0.2.1:53"),
        ("http://93.184.216.34/ 192.0.2.1", "http://192.0.2.2/ 192.0.2.1"),
        ('"\\n93.184.216.34\\n"', '"\\n192.0.2.1\\n"'),
        ("93.184.216.34/24, 93.184.216.35.", "192.0.2.1/24, 192.0.2.2."),
        ("93.184.216.34-93.184.216.40", "192.0.2.1-93.184.216.40"),
        ("[2606:2800:220:1:248:1893:25c8:1946]:80", "[2001:db8::1]:80"),
        ('"2a00:1450:4001:81B::200E" 2a00:1450:4001:81b::200e', '"2001:db8::1" 2001:db8::1'),
        ("2001:db8::1 2a00:1450::5", "2001:db8::1 2001:db8::2"),
    ],
)
def test_addresses_become_reserved_ones(text: str, expected: str) -> None:
    found = redact(text, SETTINGS, "a.py")
    assert found is not None
    assert found.text == expected
    assert {span.detector for span in found.spans} == {"polymix"}


def test_spans_say_where_in_the_redacted_text_and_how_long_it_was() -> None:
    text = f'é = "a@b.cc"\r\nk = "{AWS}"\r\nip = "93.184.216.34"'
    found = redacted(text)
    assert found.text == 'é = "user1@example.com"\r\nk = "' + "0" * 20 + '"\r\nip = "192.0.2.1"'
    assert found.spans == (
        Span(5, 22, "email", "polymix", 6),
        Span(30, 50, "aws", "detect-secrets", 20),
        Span(59, 68, "ipv4", "polymix", 13),
    )
    assert written(found) == ["user1@example.com", "0" * 20, "192.0.2.1"]
    column = pa.array([[asdict(span) for span in found.spans]], SPAN_TYPE)
    assert column.to_pylist()[0][1] == asdict(found.spans[1])
    assert AWS not in repr(found)


def test_the_hit_is_taken_out_and_not_its_first_occurrence() -> None:
    value = "aB3dE5gH7jK"  # shorter than what is looked for elsewhere
    text = f'first = "{value}"\napi_key = "{value}"\n'
    found = redacted(text)
    assert found.text == f'first = "{value}"\napi_key = "00000000000"\n'
    assert [span.start for span in found.spans] == [text.rindex(value)]


def test_what_was_found_goes_wherever_else_it_stands_by_itself() -> None:
    value, blank = "aB3dE5gH7jK9", "0" * 12
    kept = f"x{value} = _{value} = {value}1 = {value}_\n"
    line = 'first(f"/{0}/x\\n{0}\\n")\napi_key = "{0}"\n'
    found = redacted(line.format(value) + kept)
    assert found.text == line.format(blank) + kept
    assert [(span.kind, span.detector, span.length) for span in found.spans] == [("keyword", "detect-secrets", 12)] * 3


@pytest.mark.parametrize("comment", ["# pragma: allowlist secret", "// pragma: whitelist secret"])
def test_what_an_owner_allows_in_a_repository_is_taken_out_of_a_corpus(comment: str, tmp_path: Path) -> None:
    text = f'key = "{AWS}"  {comment}\n# pragma: allowlist nextline secret\nkey = "{GITHUB}"\n'
    assert redacted(text).text == text.replace(AWS, "0" * 20).replace(GITHUB, "000_" + "0" * 36)
    assert ours("a.py", text) == reference(tmp_path, "a.py", text) == {(1, "aws"), (3, "github")}


def test_a_line_whose_answer_depends_on_another_credential_in_it_is_asked_again() -> None:
    # What stands before `password` ends with `_id"`, as the name of an identifier does, until the token is gone.
    text = f'connect("{GITHUB}_id", password="hunter2Ab3")\n'
    assert [finding.kind for finding in findings(text, "a.py") if finding.secrets] == ["github"]
    found = redacted(text)
    assert found.text == f'connect("000_{"0" * 36}_00", password="0000000000")\n'
    assert [span.kind for span in found.spans] == ["github", "keyword"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_file_full_of_them_from_its_first_to_its_last_character(end: str) -> None:
    lines = [AWS, *(f"é {GITHUB} 中" for _ in range(300)), "bob@corp.io 93.184.216.34", AWS]
    found = redacted(end.join(lines))
    assert len(found.spans) == 304
    assert (found.spans[0].start, found.spans[-1].end) == (0, len(found.text))
    assert found.text.split(end)[1:301] == ["é 000_" + "0" * 36 + " 中"] * 300


def test_all_of_a_token_goes_even_what_the_detector_leaves() -> None:
    jwt = secret_of("jwt", Random(5)).secret
    assert redacted(f't = "{jwt}"').text == 't = "' + "".join(c if c in "._-" else "0" for c in jwt) + '"'
    assert redacted(f't = "{GITHUB}abc"').text == 't = "000_' + "0" * 39 + '"'


def test_a_private_key_goes_in_whatever_literal_it_stands() -> None:
    made = secret_of("private_key", Random(2))
    lines = made.secret.split(r"\n")
    begin, end = "-----BEGIN RSA PRIVATE " + "KEY-----", "-----END RSA PRIVATE " + "KEY-----"
    head = "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,AB\n\n"
    for text in (
        "\n".join([begin, *lines, end]) + "\n",
        "\r\n".join(["/*", begin, *lines, end, "*/"]),
        begin + "\n" + head + "\n".join([*lines, end]),
        'k = "' + r"\n".join([begin, *lines, end]) + '"',
        " +\n".join(f'    "{line}\\n"' for line in [begin, *lines, end]) + ";",
        "\n".join(f" * {line}" for line in [begin, *lines, end]),
        "\n".join([begin, *lines[:-1]]),
    ):
        found = redacted(text)
        assert begin in found.text
        assert not any(line in found.text for line in lines)
        assert len(found.text) == len(text)
        assert {span.kind for span in found.spans} == {"private_key"}
        assert [c for c in found.text if not c.isalnum()] == [c for c in text if not c.isalnum()]


BEGIN, END = "-----BEGIN RSA PRIVATE " + "KEY-----", "-----END RSA PRIVATE " + "KEY-----"
LITERALS = {
    ".py": ("python", 'K = "{}"\n'),
    ".go": ("go", 'package a\n\nvar K = "{}"\n'),
    ".js": ("javascript", 'const K = "{}";\n'),
}


@pytest.mark.parametrize("ending", LITERALS)
@pytest.mark.parametrize("line_end", [r"\n", r"\r\n", r"\\n", r"\x0a", r"\u000a"])
def test_escapes_in_a_private_key_stay_escapes(ending: str, line_end: str) -> None:
    language, literal = LITERALS[ending]
    line = "MIIEpAIBAAKCAQEAn8Kd0PqLm2Zx9Vb7Nc3Rt6Yu1Iw5Oe4Hs8Fg+/Q3EGRZ5TXw"
    for last in ("", "A", "a1b2c3d=", "n", "nrt0Q=="):
        lines = [line, line[::-1], *([last] if last else [])]
        text = literal.format(line_end.join([BEGIN, *lines, END]))
        found = redacted(text, "a" + ending)
        zeros = ["".join("0" if sign.isalnum() else sign for sign in line) for line in lines]
        assert found.text == literal.format(line_end.join([BEGIN, *zeros, END]))
        assert checked(text, found, language, ending) is None


@pytest.mark.parametrize("ending", LITERALS)
@pytest.mark.parametrize("around", [r"\n{}\n", r"\x41{}\x41", r"\u0041{}\u0041", r"\\{}\\", r"\\n{}\\n", r"\\\n{}\"{}"])
def test_escapes_around_a_credential_stay_escapes(ending: str, around: str) -> None:
    language, literal = LITERALS[ending]
    text = literal.format(around.replace("{}", AWS))
    found = redacted(text, "a" + ending)
    assert found.text == literal.format(around.replace("{}", "0" * 20))
    assert checked(text, found, language, ending) is None


@pytest.mark.parametrize(
    ("text", "start", "end", "expected"),
    [
        (r"\nabc", 1, 5, (2, 5)),
        (r"\\nabc", 2, 6, (2, 6)),
        (r"\\\nabc", 3, 7, (4, 7)),
        (r"\\abc", 1, 5, (2, 5)),
        (r"\x41abc", 2, 7, (4, 7)),
        (r"\u0041", 1, 6, None),
        (r"\u{1F600}a", 3, 10, (9, 10)),
        (r"\U0001F600a", 9, 11, (10, 11)),
        (r"\101a", 2, 5, (4, 5)),
        (r"abc\n", 0, 4, (0, 3)),
        (r"abc\x41", 0, 6, (0, 3)),
        (r"abc\x41", 0, 7, (0, 7)),
        (r"abc\\n", 0, 4, (0, 3)),
        (r"abc\\n", 0, 6, (0, 6)),
        ("\\", 0, 1, (0, 1)),
    ],
)
def test_a_range_cuts_no_escape(text: str, start: int, end: int, expected: tuple[int, int] | None) -> None:
    assert whole_escapes(text, start, end) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{begin}\nMC4CAQ\nAwBQ1\nx\n{end}\n", "{begin}\n000000\n00000\n0\n{end}\n"),
        ("{begin}MC4CAQAwBQYDK2Vw1=={end}", "{begin}00000000000000000=={end}"),
        (
            'b.append("{begin}\\n");\nb.append("MC4CAQAwBQYDK2Vw\\n");\nb.append("a1=\\n" + "{end}\\n");',
            'b.append("{begin}\\n");\nb.append("0000000000000000\\n");\nb.append("00=\\n" + "{end}\\n");',
        ),
        ("k = [\n'{begin}',\n'MC4C',\n'a1',\n'{end}'\n]", "k = [\n'{begin}',\n'0000',\n'00',\n'{end}'\n]"),
        ("k = '''{begin}\nMC4C\na1\n{end}'''", "k = '''{begin}\n0000\n00\n{end}'''"),
        ("/* {begin}\n * MC4C\n * a1\n * {end} */", "/* {begin}\n * 0000\n * 00\n * {end} */"),
        (r'"\"key\": \"{begin}\\nMC4C\\n{end}\\n\""', r'"\"key\": \"{begin}\\n0000\\n{end}\\n\""'),
    ],
)
def test_all_of_a_private_key_goes_however_short_it_is(text: str, expected: str) -> None:
    assert redacted(text.format(begin=BEGIN, end=END)).text == expected.format(begin=BEGIN, end=END)


def test_a_key_of_putty_goes_with_its_last_line() -> None:
    line = "AAAAB3NzaC1yc2EAAAADAQABAAABgQCq8Kd0PqLm2Zx9Vb7Nc3Rt6Yu1Iw5Oe4Hs"
    text = f"PuTTY-User-Key-File-2: ssh-rsa\nPrivate-Lines: 2\n{line}\na1b2=\nPrivate-MAC: 0\n"
    assert redacted(text, "a.ppk").text.endswith(f"\n{'0' * len(line)}\n0000=\nPrivate-MAC: 0\n")


@pytest.mark.parametrize(
    "text",
    [
        'pem = "{begin}\\n" + base64EncodedPrivateKey1 + "\\n{end}"',
        'pem.replace("{begin}", "").replace("{end}", "").decode("org/spongycastle/Pem1")',
        "pem = f'{begin}\\n{{private_key_of_the_user_1}}\\n{end}'",
        "# {begin}\ndef a_function_with_a_long_name_1(private_key):\n    return read(private_key)\n# {end}",
        "'{begin}\\nyour private key\\n{end}'",
        "'{begin}\\n...\\n{end}'",
    ],
)
def test_a_program_that_names_the_lines_around_keys_is_kept(text: str) -> None:
    assert redact(text.format(begin=BEGIN, end=END), SETTINGS, "a.js") is None


def test_escapes_in_a_credential_stay_escapes() -> None:
    text = 'const api_key = "aB3\\u00e9fG7\\nhI9\\x41kL2mN5";'
    found = redacted(text, "a.js")
    assert found.text == 'const api_key = "000\\u00e9000\\n000\\x41000000";'
    assert checked(text, found, "javascript", ".js") is None


LONG = [
    'a.password=b["secret"],',
    " ",
    "password ",
    "secret",
    "passwd''",
    "x@",
    "1.",
    "://a:",
    "::",
    "2000:",
    "eyJ",
    "'",
]
LONG += ["A", "\\", "AKIA", "=", "key=[", "-----BEGIN PRIVATE " + "KEY-----", "a@b."]


@pytest.mark.parametrize("piece", LONG)
def test_a_long_line_does_not_hang(piece: str) -> None:
    line = piece * (20_000 // len(piece))
    start = time.process_time()
    found = redacted(f'{line} "{GITHUB}" {line}', "a.js")
    assert [span.kind for span in found.spans].count("github") == 1
    assert time.process_time() - start < 5


def test_a_line_as_long_as_is_seen_at_once_is_searched_as_the_detector_does(tmp_path: Path) -> None:
    filler = "x" * (LONGEST_LINE - 100)
    text = f'{filler} password = "hunter2"; key = "{AWS}"\n'
    assert ours("a.py", text) == reference(tmp_path, "a.py", text) == {(1, "aws"), (1, "keyword")}


def test_kinds_that_were_not_asked_for_are_left() -> None:
    text = f'k = "{AWS}" # bob@corp.io 93.184.216.34 2a00:1450::5'
    for kind, gone in (("aws", AWS), ("email", "bob@corp.io"), ("ipv4", "93.184.216.34"), ("ipv6", "2a00:1450::5")):
        found = redacted(text, settings=RedactionSettings(kinds=(kind,)))
        assert [span.kind for span in found.spans] == [kind]
        assert gone not in found.text
    assert redact(text, RedactionSettings(kinds=()), "a.py") is None


def test_settings_name_what_they_know() -> None:
    assert RedactionSettings.model_validate({"kinds": ["ipv4", "aws"]}).kinds == ("aws", "ipv4")
    assert RedactionSettings().kinds == KINDS
    for wrong in ({"kinds": ["phone"]}, {"kinds": "aws"}, {"emails": True}):
        with pytest.raises(ValidationError):
            RedactionSettings.model_validate(wrong)


def test_a_text_that_no_longer_parses_is_rejected() -> None:
    text = 'x = "bob@corp.io"\n'
    broken = Redacted('x = )user1@example.com"\n', (Span(5, 22, "email", "polymix", 11),))
    rejected = checked(text, broken, "python", ".py")
    assert rejected is not None
    assert rejected.reason == BROKE_SYNTAX
    assert checked(text, broken, "python", ".py", error_ratio=parse(text, "python").error_ratio) == rejected
    assert checked(text, redacted(text), "python", ".py") is None


def test_what_did_not_parse_before_may_grow_with_what_stands_in_it() -> None:
    text = "def f(:\n    )) bob@corp.io ((\n" * 3
    assert parse(text, "python").error_ratio > 0
    assert checked(text, redacted(text), "python", ".py") is None


def test_planted_values_are_as_random_as_they_should_be() -> None:
    made = [secret_of(kind, Random(seed)) for kind in CREDENTIALS for seed in range(3)]
    assert len({one.secret for one in made}) == len(made)
    assert all(isinstance(one, Planted) and one.secret in one.value for one in made)
