"""Languages and kinds are told by name, bytes and text, with traps from real repositories."""

from __future__ import annotations

import struct

import pytest

from quality.classify import Decoded, classify, classify_decoded, decode
from quality.languages import LANGUAGES

SOURCES = {
    "python": ("a.py", "import os\n\n\ndef f(x):\n    return os.path.join(x)\n"),
    "java": ("A.java", "package a.b;\n\npublic class A {\n    public static int f(int x) { return x; }\n}\n"),
    "javascript": (
        "a.js",
        "'use strict';\nconst a = require('a');\nmodule.exports = function f(x) { return a === x; };\n",
    ),
    "typescript": ("a.ts", "export interface A { b: string }\nexport const f = (x: number): number => x;\n"),
    "csharp": ("A.cs", "using System;\n\nnamespace A.B\n{\n    public class C { public int X { get; set; } }\n}\n"),
    "go": ("a.go", 'package a\n\nimport "fmt"\n\nfunc F(x int) {\n\ty := x\n\tfmt.Println(y)\n}\n'),
    "rust": ("a.rs", "use std::fmt;\n\npub fn f(x: u32) -> u32 {\n    let mut y = x;\n    y += 1;\n    y\n}\n"),
}


@pytest.mark.parametrize("language", SOURCES)
def test_every_language_by_its_ending(language: str) -> None:
    path, text = SOURCES[language]
    found = classify(f"src/{path}", text.encode())
    assert (found.language, found.kind) == (language, "source")
    assert found.confidence > 0.95


def test_the_sources_above_cover_the_registry() -> None:
    assert set(SOURCES) == set(LANGUAGES)


@pytest.mark.parametrize("language", SOURCES)
@pytest.mark.parametrize("codec", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_every_unicode_encoding_is_read(language: str, codec: str) -> None:
    path, text = SOURCES[language]
    assert classify(path, text.encode(codec)).language == language


@pytest.mark.parametrize("language", SOURCES)
@pytest.mark.parametrize("path", ["", "snippet"])
def test_a_text_without_a_name_is_told_by_what_it_reads_like_and_its_grammar(language: str, path: str) -> None:
    found = classify(path, SOURCES[language][1].encode())
    assert found.language == language
    assert found.confidence < 0.8


@pytest.mark.parametrize(
    "text",
    [
        '{"name": "a", "version": "1.0.0", "main": "index.js"}\n',
        '{"Time": 1, "Action": "run"}\n{"Time": 2, "Action": "pass"}\n',
        '#include <stdio.h>\n\nint main(int argc, char **argv) {\n    printf("%d", argc);\n    return 0;\n}\n',
        "# Title\n\nSome words on *what* this is:\n\n- one\n- two\n\n```python\nimport os\n```\n",
        "body {\n  margin: 0;\n  padding: 1px 2px;\n}\n\n.a > .b {\n  color: #fff;\n}\n",
        "name: build\non:\n  push:\n    branches: [main]\njobs:\n  test:\n    runs-on: ubuntu\n",
        "<?xml version='1.0'?>\n<a><b/></a>\n",
    ],
)
def test_other_texts_without_a_name_are_no_language_of_the_registry(text: str) -> None:
    assert classify("", text.encode()).language is None


def test_an_attribute_of_rust_is_no_line_that_names_a_program() -> None:
    text = "#![cfg(not(loom))]\n\n" + SOURCES["rust"][1]
    assert classify("", text.encode()).language == "rust"


def test_python_2_is_a_dialect() -> None:
    found = classify("a.py", b"import os\n\nprint 'x'\n")
    assert (found.language, found.kind, found.dialect) == ("python", "source", "python2")
    assert "python2" in found.reason
    assert classify("a.py", b"print('x')\n").dialect == ""


def test_a_text_that_is_decoded_already_gets_the_same_verdict() -> None:
    for path, text in SOURCES.values():
        data = text.encode("utf-16")
        assert classify_decoded(path, data, decode(data)) == classify(path, data)


def test_a_file_that_is_no_program_whatever_its_name_says() -> None:
    c = """\
#include <stdio.h>
#include <stdlib.h>

static int *a(const char *p, size_t n) {
    struct b *q = malloc(n);
    if (q == NULL)
        return NULL;
    memcpy(q->data, p, n);
    return &q->length;
}
"""
    found = classify("a.py", c.encode())
    assert found.language is None
    assert "syntax errors as .py" in found.reason


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("Makefile", "CC := gcc\nall: a.o\n\t$(CC) -o all a.o\n"),
        ("Dockerfile", "FROM debian\nRUN apt-get update\nCOPY . /src\n"),
        ("poem", "From fairest creatures we desire increase,\nThat thereby beauty's rose might never die.\n"),
        ("todo-list", "import the data\nexport the results\ntry: again\n"),
        ("config", "[core]\n\tbare = false\n\tname = x\n"),
    ],
)
def test_prose_and_settings_without_an_ending_are_no_code(path: str, text: str) -> None:
    assert classify(path, text.encode()).language is None


# --- Ambiguous endings ------------------------------------------------------------------------------------------------


def test_ts_may_be_a_translation_a_video_or_typescript() -> None:
    qt = '<?xml version="1.0" encoding="utf-8"?>\n<!DOCTYPE TS>\n<TS version="2.1" language="de">\n</TS>\n'
    assert (classify("de.ts", qt.encode()).language, classify("de.ts", qt.encode()).kind) == (None, "data")
    assert classify("de.ts", b'<TS version="2.1">\n</TS>\n').kind == "data"
    video = b"".join(b"\x47" + struct.pack(">H", 0x4000 | i) + b"a" * 185 for i in range(20))
    assert (classify("v.ts", video).language, classify("v.ts", video).kind) == (None, "binary")


def test_rs_may_be_renderscript_or_xml() -> None:
    assert classify("a.rs", b"#pragma version(1)\n#pragma rs java_package_name(a)\nint x;\n").language is None
    assert classify("a.rs", b'<?xml version="1.0"?>\n<a/>\n').kind == "data"


def test_cs_may_be_smalltalk() -> None:
    assert classify("a.cs", b"!Point methodsFor: 'arithmetic'!\n+ other\n  ^self x + other x! !\n").language is None


def test_javascript_named_typescript_stays_typescript_and_the_reverse() -> None:
    assert classify("a.ts", SOURCES["javascript"][1].encode()).language == "typescript"
    assert classify("a.js", SOURCES["typescript"][1].encode()).language == "javascript"
    assert classify("a.mts", b"x\n").language == "typescript"
    assert classify("a.jsx", b"export default () => <a>b</a>;\n").language == "javascript"


def test_a_file_plainly_in_another_language_than_its_name_says() -> None:
    found = classify(
        "a.py", (SOURCES["go"][1] + "func (a *A) G() error {\n\tif err != nil {\n\t}\n\treturn nil\n}\n").encode()
    )
    assert found.language == "go"
    assert "syntax errors" in found.reason


@pytest.mark.parametrize(
    ("line", "language"),
    [
        ("#!/usr/bin/env python3", "python"),
        ("#!/usr/bin/python3.11 -u", "python"),
        ("#! /usr/bin/env -S node --flag", "javascript"),
        ("#!/usr/bin/env deno run", "typescript"),
        ("#!/bin/sh", None),
        ("#!/usr/bin/perl -w", None),
    ],
)
def test_scripts_without_an_ending(line: str, language: str | None) -> None:
    assert classify("bin/tool", f"{line}\nx\n".encode()).language == language


# --- Kinds ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("src/a.py", "source"),
        ("src/latest/a.py", "source"),
        ("src/contest.py", "source"),
        ("src/main/java/Latest.java", "source"),
        ("src/vendoring/a.go", "source"),
        ("src/distribution/a.js", "source"),
        ("dist/a.js", "source"),
        ("tests/a.py", "test"),
        ("pkg/test_a.py", "test"),
        ("pkg/a_test.go", "test"),
        ("src/a.spec.ts", "test"),
        ("src/__tests__/a.js", "test"),
        ("src/test/java/FooTest.java", "test"),
        ("Foo.Tests/Bar.cs", "test"),
        ("Newtonsoft.Json.Tests/A.cs", "test"),
        ("pkg/vendor/github.com/a/a.go", "vendored"),
        ("node_modules/a/index.js", "vendored"),
        ("pip/_vendor/rich/a.py", "vendored"),
        ("third_party/a.rs", "vendored"),
        ("static/jquery-3.1.1.js", "vendored"),
        ("types/a.d.ts", "declaration"),
        ("types/a.d.mts", "declaration"),
        ("pkg/a.pyi", "declaration"),
        ("api/a.pb.go", "generated"),
        ("api/a_pb2.py", "generated"),
        ("Form.Designer.cs", "generated"),
        ("a.min.js", "minified"),
    ],
)
def test_kinds_by_path(path: str, kind: str) -> None:
    ending = "." + path.rpartition(".")[2]
    text = next((text for name, text in SOURCES.values() if name.endswith(ending)), SOURCES["python"][1])
    assert classify(path, text.encode()).kind == kind


@pytest.mark.parametrize(
    ("path", "head"),
    [
        ("a.go", "// Code generated by protoc-gen-go. DO NOT EDIT.\npackage a\n"),
        ("a.cs", "//------\n// <auto-generated>\n//     This code was generated by a tool.\n// </auto-generated>\n"),
        ("A.java", "/**\n * @generated SignedSource<<abc>>\n */\n"),
        ("A.java", "// Generated by the protocol buffer compiler.  DO NOT EDIT!\n"),
        ("a.py", "# -*- coding: utf-8 -*-\n# Generated by the protocol buffer compiler.  DO NOT EDIT!\n"),
        ("a.py", "# This file is automatically generated by tools/gen.py\n"),
        ("a.js", "// Generated by CoffeeScript 1.3.1\n"),
        ("a.rs", "/* automatically generated by rust-bindgen 0.59 */\n"),
        ("a.ts", "/* This file was automatically generated. Do not edit. */\n"),
        ("a.py", '"""Autogenerated by Thrift Compiler (0.9)."""\n'),
    ],
)
def test_generated_files_say_so_in_their_head(path: str, head: str) -> None:
    found = classify(path, (head + "x = 1\n" * 5).encode())
    assert (found.kind, found.language is not None) == ("generated", True)


@pytest.mark.parametrize(
    "head",
    [
        "# This module generates parsers: the generated code is written to a file.\n",
        "# Tests that generated files say `do not edit`.\n",
        '"""Generate and check a report."""\n',
        "# IDs are automatically generated if none is given.\n",
        "# The password was generated by the user.\n",
        'HEADER = "// Code generated by tool. DO NOT EDIT."\n',
    ],
)
def test_files_that_only_speak_of_generating_are_source(head: str) -> None:
    assert classify("a.py", (head + SOURCES["python"][1]).encode()).kind == "source"


def test_what_names_its_source_map_was_compiled() -> None:
    text = SOURCES["javascript"][1]
    assert classify("lib/a.js", f"{text}//# sourceMappingURL=a.js.map\n".encode()).kind == "generated"
    said = f"const MARK = '//# sourceMappingURL=';\n{text}"
    assert classify("lib/a.js", said.encode()).kind == "source"


def test_a_source_map_in_the_last_line_does_not_make_a_file_minified() -> None:
    inlined = f"{SOURCES['javascript'][1] * 9}//# sourceMappingURL=data:application/json;base64,{'QUJD' * 4000}\n"
    found = classify("lib/a.js", inlined.encode())
    assert (found.kind, "source map" in found.reason) == ("generated", True)


def test_minified_needs_several_signs() -> None:
    squeezed = "!function(e,t){" + "var n=e.a,r=t.b;for(var i=0;i<n;i++)r[i]=n[i]+e(t,n);" * 60 + "}(a,b);"
    assert classify("lib/a.js", squeezed.encode()).kind == "minified"
    table = (
        "const NAMES = [\n"
        + "".join(f'    "{"word " * 40}{i}",\n' for i in range(40))
        + "];\nmodule.exports = NAMES;\n"
    )
    assert classify("lib/names.js", table.encode()).kind == "source"
    assert classify("lib/short.js", b"var a=1;var b=2;").kind == "source"


@pytest.mark.parametrize(
    ("path", "data", "kind"),
    [
        ("a.py", b"", "empty"),
        ("a.py", b" \n\t\n", "empty"),
        ("a.json", b'{"a": 1}', "data"),
        ("README.md", b"# a\n", "text"),
        ("LICENSE", b"MIT License\n", "text"),
        ("a.c", b"int main(void) { return 0; }\n", "source"),
        ("a.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "binary"),
        ("a.py", b"\x7fELF\0\0\0", "binary"),
        ("a.py", "# \u65e5\u672c\u8a9e\u306e\u30b3\u30e1\u30f3\u30c8\n".encode("shift_jis"), "undecodable"),
        (".gitignore", b"*.pyc\n", "data"),
    ],
)
def test_what_is_no_source_of_the_registry(path: str, data: bytes, kind: str) -> None:
    found = classify(path, data)
    assert found.kind == kind
    if not path.endswith(".py"):
        assert found.language is None


# --- Decoding ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "text", "encoding"),
    [
        (b"x = 1\n", "x = 1\n", "utf-8"),
        ("é".encode(), "é", "utf-8"),
        ("é".encode("utf-8-sig"), "é", "utf-8-sig"),
        ("aé\n".encode("utf-16"), "aé\n", "utf-16-le"),
        (b"\xfe\xff\0a\0\n", "a\n", "utf-16-be"),
        ("ab\n".encode("utf-32"), "ab\n", "utf-32-le"),
        ("int x = 1;\n".encode("utf-16-le"), "int x = 1;\n", "utf-16-le"),
        ("# coding: koi8-r\n# слово\n".encode("koi8-r"), "# coding: koi8-r\n# слово\n", "koi8-r"),
        ("# José García wrote this\n".encode("cp1252"), "# José García wrote this\n", "cp1252"),
        (
            "// \u201cquoted\u201d \u2013 \u00a9 2001\n".encode("cp1252"),
            "// \u201cquoted\u201d \u2013 \u00a9 2001\n",
            "cp1252",
        ),
        (b"", "", "utf-8"),
        (b"a\r\nb\r\n", "a\r\nb\r\n", "utf-8"),
        (b"page\n\x0c\nbreak", "page\n\x0c\nbreak", "utf-8"),
    ],
)
def test_decoding(data: bytes, text: str, encoding: str) -> None:
    found = decode(data)
    assert isinstance(found, Decoded)
    assert (found.text, found.encoding) == (text, encoding)
    assert 0.5 <= found.confidence <= 1


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"abc\0def", "binary"),
        (bytes(range(256)) * 4, "binary"),
        (b"\x01\x02\x03\x04abc", "binary"),
        ("# 日本語のコメントです\n".encode("shift_jis"), "undecodable"),
        ("// комментарий на русском\n".encode("cp1251"), "undecodable"),
        (b"\xff\xfea", "undecodable"),
        (b"# coding: no-such-codec\n# \xb0\xe6\xb1\xea\xbd\xe8\n", "undecodable"),
    ],
)
def test_what_is_no_text(data: bytes, reason: str) -> None:
    assert decode(data) == reason
