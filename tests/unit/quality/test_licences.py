"""Licences are told from texts, headers and metadata, and what is not recognised never passes for permissive."""

from __future__ import annotations

import json

import pytest

from quality.licences import (
    CLAUSES,
    PERMISSIVE,
    RESTRICTED,
    agreed,
    effective,
    from_header,
    from_metadata,
    from_package_file,
    from_text,
    is_license_file,
    license_type,
)

MIT = (
    "Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated"
    " documentation files, to deal in the Software without restriction, including without limitation the rights to use,"
    " copy, modify, merge, publish, distribute, sublicense. {} THE SOFTWARE IS PROVIDED AS IS."
)
MIT_NOTICE = "The above copyright notice and this permission notice shall be included in all copies of the Software."
BSD = (
    "Redistribution and use in source and binary forms, with or without\n * modification, are permitted provided that"
    " the following conditions are met: 1. Redistributions of source code must retain the above copyright notice. {}"
)
ENDORSE = "Neither the name of the holder nor the names of its contributors may be used to endorse or promote products"
GPL3 = "GNU GENERAL PUBLIC LICENSE\nVersion 3, 29 June 2007\nEveryone is permitted to copy"
ISC = "Permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is granted"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (MIT.format(MIT_NOTICE), ("MIT",)),
        (MIT.format(""), ("MIT-0",)),
        (MIT.format(MIT_NOTICE) + " The Software shall be used for Good, not Evil.", ("JSON",)),
        (BSD.format(""), ("BSD-2-Clause",)),
        (BSD.format(ENDORSE), ("BSD-3-Clause",)),
        (BSD.format("All advertising materials mentioning features of this software"), ("BSD-4-Clause",)),
        (ISC + ", provided that this permission notice appear in all copies.", ("ISC",)),
        (ISC + ".", ("0BSD",)),
        ("Apache License\n   Version 2.0, January 2004\n TERMS AND CONDITIONS", ("Apache-2.0",)),
        ("Licensed under the Apache License, Version 2.0 (the License)", ("Apache-2.0",)),
        ("This is free and unencumbered software released into the public domain.", ("Unlicense",)),
        ("3. Altered source versions must be plainly marked as such, and must not", ("Zlib",)),
        ("Boost Software License - Version 1.0 - August 17th, 2003", ("BSL-1.0",)),
        ("PSF LICENSE AGREEMENT FOR PYTHON 3.11\n1. This LICENSE AGREEMENT is between", ("PSF-2.0",)),
        (GPL3, ("GPL-3.0-only",)),
        ("GNU LESSER GENERAL PUBLIC LICENSE\n Version 2.1, February 1999", ("LGPL-2.1-only",)),
        ("GNU AFFERO GENERAL PUBLIC LICENSE Version 3, 19 November 2007", ("AGPL-3.0-only",)),
        ("Mozilla Public License Version 2.0\n====\n1. Definitions\n", ("MPL-2.0",)),
        (MIT.format(MIT_NOTICE) + "\n\n" + BSD.format(ENDORSE), ("BSD-3-Clause", "MIT")),
        ("You may use this under the terms of either the MIT license or the GNU GPL.", ()),
        ("Copyright 2020 A. Author. All rights reserved.", ()),
        ("This page compares the GNU General Public License with others.", ()),
        ("", ()),
        ("Copyright A. Author\n\n" + GPL3, ("GPL-3.0-only",)),
        ("a is free.\n\n GNU GENERAL PUBLIC LICENSE\n Version 2, June 1991\n", ("GPL-2.0-only",)),
        ("SPDX-License-Identifier: GPL-3.0-or-later", ("GPL-3.0-or-later",)),
        ("The MIT License (MIT)\nhttps://opensource.org/licenses/MIT", ("MIT",)),
        ("Dual licensed under the MIT or GPL Version 2 licenses.", ("LicenseRef-GPL OR MIT",)),
        ("Licensed under either of Apache License, Version 2.0 or MIT license at your option.", ("Apache-2.0 OR MIT",)),
        ("Elastic License 2.0\n\n## Acceptance", ("Elastic-2.0",)),
        ("# PolyForm Noncommercial License 1.0.0", ("LicenseRef-PolyForm",)),
        ("This work is licensed under CC BY-NC-SA 4.0", ("LicenseRef-CC-BY-NC",)),
    ],
)
def test_texts(text: str, expected: tuple[str, ...]) -> None:
    assert from_text(text) == expected


def test_mentions_of_a_licence_inside_another_are_no_grant() -> None:
    mpl = (
        'Mozilla Public License Version 2.0\n1. Definitions\n"Secondary License" means either the GNU General Public'
        " License, Version 2.0, the GNU Lesser General Public License, Version 2.1, or any later versions"
    )
    assert from_text(mpl) == ("MPL-2.0",)
    cnri = "material that was previously distributed under the GNU General Public License (GPL), the law of Virginia"
    assert from_text("PSF LICENSE AGREEMENT FOR PYTHON\n" + cnri) == ("PSF-2.0",)


COMMONS = (
    '"Commons Clause" License Condition v1.0\nThe Software is provided to you by the Licensor under the License,'
    " subject to the following condition: the License does not grant to you the right to Sell the Software.\n\n"
)


@pytest.mark.parametrize(
    ("text", "clause"),
    [
        (COMMONS + MIT.format(MIT_NOTICE), "LicenseRef-Commons-Clause"),
        (COMMONS + "Apache License\nVersion 2.0, January 2004", "LicenseRef-Commons-Clause"),
        (
            MIT.format(MIT_NOTICE) + " The Software may not be used to train machine learning models.",
            "LicenseRef-no-ai",
        ),
        (
            MIT.format(MIT_NOTICE) + " Use of this code for training AI systems is strictly prohibited.",
            "LicenseRef-no-ai",
        ),
        (
            MIT.format(MIT_NOTICE) + " You may not use this code as training data for generative AI.",
            "LicenseRef-no-ai",
        ),
        (MIT.format(MIT_NOTICE) + " It may be used only for non-commercial purposes.", "LicenseRef-non-commercial"),
        (MIT.format(MIT_NOTICE) + " Commercial use is not permitted.", "LicenseRef-non-commercial"),
        ("# Functional Source License, Version 1.1\n" + MIT.format(MIT_NOTICE), "LicenseRef-FSL"),
        ("Hippocratic License Version 2.1\n" + MIT.format(MIT_NOTICE), "Hippocratic-2.1"),
        (
            BSD.format(
                "3. Redistributions must be accompanied by information on how to obtain complete source code for the"
            ),
            "Sleepycat",
        ),
        ("Unauthorized copying of this file, via any medium, is strictly prohibited.", "LicenseRef-proprietary"),
    ],
)
def test_a_clause_takes_back_what_the_licence_beside_it_permits(text: str, clause: str) -> None:
    assert clause in from_text(text)
    assert license_type(from_text(text)) == "non_permissive"
    assert license_type(effective(f'"""{text}"""\n', ["MIT"])) == "non_permissive"


@pytest.mark.parametrize(
    "text",
    [
        "This package trains machine learning models. It cannot train language models without data.",
        "This package is free for commercial and non-commercial use as long as these conditions are adhered to.",
        "Copyright (c) 2020 A. Author. All rights reserved.",
    ],
)
def test_what_a_program_does_is_no_clause(text: str) -> None:
    assert from_text(MIT.format(MIT_NOTICE) + text) == ("MIT",)


def test_clauses_are_known_and_no_choice_escapes_them() -> None:
    assert CLAUSES <= RESTRICTED
    text = COMMONS + "Licensed under either of Apache License, Version 2.0 or MIT license at your option."
    assert from_text(text) == ("Apache-2.0 OR MIT", "LicenseRef-Commons-Clause")
    assert license_type(from_text(text)) == "non_permissive"


@pytest.mark.parametrize(
    ("stated", "text", "expected"),
    [
        (["MIT"], ["MIT"], ("MIT",)),
        (["MIT"], [], ("MIT",)),
        ([], ["MIT"], ("MIT",)),
        (["LicenseRef-BSD"], ["BSD-3-Clause"], ("BSD-3-Clause",)),
        (["Apache-2.0 OR GPL-2.0-or-later"], ["Apache-2.0", "GPL-2.0-only"], ("Apache-2.0 OR GPL-2.0-or-later",)),
        (["MIT"], ["LicenseRef-Commons-Clause", "MIT"], ("LicenseRef-Commons-Clause", "MIT")),
        (["MIT"], ["GPL-3.0-only"], ("GPL-3.0-only", "MIT")),
        (["GPL-3.0-or-later"], ["GPL-3.0-only"], ("GPL-3.0-or-later",)),
    ],
)
def test_metadata_and_text_agree_or_both_hold(stated: list[str], text: list[str], expected: tuple[str, ...]) -> None:
    assert agreed(stated, text) == expected


GPL_HEADER = """/*
 * Copyright 2001 Somebody
 *
 * This program is free software; you can redistribute it and/or modify
 * it under the terms of the GNU General Public License as published by
 * the Free Software Foundation; either version 2 of the License, or
 * (at your option) any later version.
 */
package a;
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("// SPDX-License-Identifier: MIT\npackage a\n", ("MIT",)),
        ("# SPDX-License-Identifier: apache-2.0 OR mit\nx = 1\n", ("Apache-2.0 OR MIT",)),
        ("/* SPDX-License-Identifier: GPL-2.0+ */\nint x;\n", ("GPL-2.0-or-later",)),
        ("#!/usr/bin/env python\n# -*- coding: utf-8 -*-\n# SPDX-License-Identifier: (MIT)\n", ("MIT",)),
        ("<!-- SPDX-License-Identifier: BSD-3-Clause -->\n", ("BSD-3-Clause",)),
        ("// SPDX-License-Identifier: Made-Up-1.0\n", ("LicenseRef-Made-Up-1.0",)),
        (GPL_HEADER, ("GPL-2.0-or-later",)),
        ("package a;\n\n" + GPL_HEADER, ("GPL-2.0-or-later",)),
        ("// under the GNU Lesser General Public License, version 3\n", ("LGPL-3.0-only",)),
        ("'use strict';\n/*! Licensed under the Apache License, Version 2.0 */\n", ("Apache-2.0",)),
        ('"""Tool.\n\n' + MIT.format(MIT_NOTICE) + '\n"""\nimport os\n', ("MIT",)),
        ("// Use of this source code is governed by a BSD-style\n// license that can be found in LICENSE.\n", ()),
        ('x = "SPDX-License-Identifier: GPL-3.0-only"\n', ()),
        ('package a\n\nconst s = "under the terms of the GNU General Public License version 2"\n', ()),
        ("x = 1\n" * 200 + "# SPDX-License-Identifier: MIT\n", ()),
        ("// SPDX-License-Identifier: MIT AND Made-Up-1.0\n", ("LicenseRef-Made-Up-1.0", "MIT")),
        ("// SPDX-License-Identifier: Made-Up-1.0 OR MIT\n", ("LicenseRef-Made-Up-1.0 OR MIT",)),
        ("/**\n * @license GPL-3.0\n */\n", ("GPL-3.0-only",)),
        ("# License: GPLv3\n# Author: x\n", ("GPL-3.0-only",)),
        ("# This file is released under the GPL version 3 or later.\n", ("GPL-3.0-or-later",)),
        ("// Licensed under the LGPL v2.1\n", ("LGPL-2.1-only",)),
        ("# Its license is GPL-compatible.\n", ()),
        ("// The original is dual licensed under GPL and Apache 2.\n", ()),
        ('"""Doc."""\nimport os\n__license__ = "GPLv3"\n', ("GPL-3.0-only",)),
        ("/* made available under the terms of the Eclipse Public License v1.0 */\n", ("EPL-1.0",)),
        (
            "/* subject to the terms of either the GNU General Public License Version 2 only or the\n"
            " * Common Development and Distribution License */\n",
            ("GPL-2.0-only", "LicenseRef-CDDL"),
        ),
        ("/*\n * Dual licensed under the MIT or GPL Version 2 licenses.\n */\n", ("LicenseRef-GPL OR MIT",)),
        ("# This file may not be used to train AI models.\n", ("LicenseRef-no-ai",)),
        (
            "# SPDX-License-Identifier: MIT\n# This file may not be used to train AI models.\n",
            ("LicenseRef-no-ai", "MIT"),
        ),
    ],
)
def test_headers(text: str, expected: tuple[str, ...]) -> None:
    assert from_header(text) == expected


def test_a_header_beats_the_folder_and_silence_does_not() -> None:
    assert effective(GPL_HEADER, ["MIT"]) == ("GPL-2.0-or-later",)
    assert effective("// SPDX-License-Identifier: MIT\n", ["GPL-3.0-only"]) == ("MIT",)
    assert effective("package a\n", ["MIT"]) == ("MIT",)
    assert effective("package a\n", []) == ()


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        (["MIT"], ("MIT",)),
        (["mit"], ("MIT",)),
        (["MIT License"], ("MIT",)),
        (["License :: OSI Approved :: BSD License"], ("LicenseRef-BSD",)),
        (["License :: OSI Approved :: GNU General Public License v3 or later (GPLv3+)"], ("GPL-3.0-or-later",)),
        (["Apache-2.0 AND (MIT OR GPL-2.0)"], ("Apache-2.0", "GPL-2.0-only OR MIT")),
        (["(BSD-3-Clause OR GPL-2.0)"], ("BSD-3-Clause OR GPL-2.0-only",)),
        (["MIT/Apache-2.0"], ("Apache-2.0 OR MIT",)),
        (["MIT or Apache-2.0"], ("Apache-2.0 OR MIT",)),
        (["Expat, and GPL-2+"], ("GPL-2.0-or-later", "MIT")),
        (
            ["EPL-2.0 OR GPL-2.0-only WITH Classpath-exception-2.0"],
            ("EPL-2.0 OR GPL-2.0-only WITH Classpath-exception-2.0",),
        ),
        (["UNLICENSED"], ("LicenseRef-proprietary",)),
        (["SEE LICENSE IN LICENSE.md"], ()),
        (["see debian/copyright", ""], ()),
        (["MIT", "mit", "MIT License"], ("MIT",)),
        (["MIT AND Commons-Clause"], ("LicenseRef-Commons-Clause", "MIT")),
        (["Apache-2.0 with Commons Clause"], ("Apache-2.0", "LicenseRef-Commons-Clause")),
        (["MIT OR Made-Up"], ("LicenseRef-Made-Up OR MIT",)),
        (["Made-Up OR Other"], ()),
        (["MIT, GPL-2.0"], ("GPL-2.0-only", "MIT")),
        (["Dual MIT/GPL"], ("LicenseRef-GPL OR MIT",)),
        (['BSD 3-Clause "New" or "Revised" License'], ("BSD-3-Clause",)),
        (["GNU General Public License v3.0"], ("GPL-3.0-only",)),
        (["License :: Free for non-commercial use"], ("LicenseRef-non-commercial",)),
    ],
)
def test_metadata(stated: list[str], expected: tuple[str, ...]) -> None:
    assert from_metadata(stated) == expected


@pytest.mark.parametrize(
    ("licenses", "expected"),
    [
        ([], "no_license"),
        (["MIT"], "permissive"),
        (["MIT", "Apache-2.0"], "permissive"),
        (["GPL-3.0-only OR MIT"], "permissive"),
        (["MIT", "GPL-3.0-only"], "non_permissive"),
        (["MIT AND GPL-3.0-only"], "non_permissive"),
        (["(MIT AND GPL-2.0-only) OR ISC"], "permissive"),
        (["Apache-2.0 WITH LLVM-exception"], "permissive"),
        (["GPL-2.0-only WITH Classpath-exception-2.0"], "non_permissive"),
        (["LicenseRef-Made-Up"], "non_permissive"),
        (["nonsense ((("], "non_permissive"),
        (["CC-BY-NC-4.0"], "non_permissive"),
    ],
)
def test_license_type(licenses: list[str], expected: str) -> None:
    assert license_type(licenses) == expected


def test_no_licence_is_both_permissive_and_restricted() -> None:
    assert not PERMISSIVE & RESTRICTED
    assert {license_type([name]) for name in PERMISSIVE} == {"permissive"}
    assert {license_type([name]) for name in RESTRICTED} == {"non_permissive"}


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        ("package.json", json.dumps({"license": "MIT"}), ("MIT",)),
        ("package.json", json.dumps({"license": {"type": "ISC", "url": "x"}}), ("ISC",)),
        ("package.json", json.dumps({"licenses": [{"type": "MIT"}, {"type": "GPL-2.0"}]}), ("MIT OR GPL-2.0-only",)),
        ("package.json", "{broken", ()),
        ("package.json", "[1]", ()),
        ("a.dist-info/METADATA", "Name: a\nLicense-Expression: MIT\nLicense: GPL\n\n", ("MIT",)),
        (
            "PKG-INFO",
            "Name: a\nLicense: BSD\nClassifier: License :: OSI Approved :: BSD License\n\n",
            ("LicenseRef-BSD",),
        ),
        (
            "PKG-INFO",
            "Name: a\nLicense: BSD-3-Clause\nClassifier: License :: OSI Approved :: BSD License\n",
            ("BSD-3-Clause",),
        ),
        ("PKG-INFO", "Name: a\nLicense: UNKNOWN\nClassifier: License :: OSI Approved :: MIT License\n", ("MIT",)),
        ("Cargo.toml", '[package]\nname = "a"\nlicense = "MIT OR Apache-2.0"\n', ("Apache-2.0 OR MIT",)),
        ("pyproject.toml", '[project]\nname = "a"\nlicense = {text = "MIT License"}\n', ("MIT",)),
        ("pyproject.toml", "[project\n", ()),
        ("pyproject.toml", '[tool.poetry]\nlicense = "GPL-3.0"\n', ("GPL-3.0-only",)),
        (
            "pyproject.toml",
            '[project]\nclassifiers = ["License :: OSI Approved :: GNU General Public License v3 (GPLv3)"]\n',
            ("GPL-3.0-only",),
        ),
        ("Cargo.toml", '[workspace.package]\nlicense = "MIT"\n', ("MIT",)),
        ("Cargo.toml", '[package]\nname = "a"\nlicense = { workspace = true }\n', ()),
        ("package.json", json.dumps({"license": ["MIT", "GPL-2.0"]}), ("MIT OR GPL-2.0-only",)),
        ("package.json", "\ufeff" + json.dumps({"license": "MIT"}), ("MIT",)),
        (
            "debian/copyright",
            "Format: copyright-format/1.0\n\nFiles: *\nLicense: Expat or Apache-2.0\n\nFiles: debian/*\n"
            "License: GPL-3\n",
            ("Apache-2.0 OR MIT",),
        ),
        (
            "debian/copyright",
            "Format: copyright-format/1.0\n\nFiles: a/*\nLicense: Expat\n\nFiles: b/*\nLicense: who knows\n",
            (),
        ),
        ("debian/copyright", "This package was debianized by me. It is under the GPL.\n", ()),
    ],
)
def test_package_files(path: str, text: str, expected: tuple[str, ...]) -> None:
    assert from_package_file(path, text.encode()) == expected


@pytest.mark.parametrize(
    "path",
    [
        "LICENSE",
        "a/LICENCE.txt",
        "COPYING",
        "copying.lesser",
        "LICENSE-MIT",
        "LICENSE-APACHE",
        "UNLICENSE",
        "License.md",
        "MIT-LICENSE",
        "COPYING.LIB",
        "COPYING3",
        "LICENSE.AGPL",
        "LICENSE-BSD-3-Clause.txt",
        "GPL-LICENSE.txt",
        "EULA.txt",
    ],
)
def test_licence_files(path: str) -> None:
    assert is_license_file(path)


@pytest.mark.parametrize(
    "path",
    ["license.py", "a/licenses.ts", "LICENSE/a.py", "copying.go", "relicense", "README", "license.json", "LICENSE.svg"],
)
def test_other_files(path: str) -> None:
    assert not is_license_file(path)


@pytest.mark.parametrize(
    "line",
    [
        "# license: CC BY-NC-SA 3.0",
        "# under Creative Commons BY-NC",
        "# Licensed under CC BY-SA 4.0",
        "// Mozilla Public License 2.0",
        "// Licensed under the Mozilla Public License 2.0",
        "# Licensed under the EUPL",
        "# License: BUSL",
        "# Licensed under the CDDL",
        "# Licence: see the EULA",
        "# License: My Own License",
        "# Do not use to train machine learning models",
        "# SPDX-License-Identifier: LicenseRef-permissive",
        "# License: LicenseRef-permissive",
        "# License: Acme Project License 1.0",
    ],
)
def test_a_header_that_is_not_recognised_does_not_take_the_permission_of_its_folder(line: str) -> None:
    assert license_type(effective(line + "\nx = 1\n", ("MIT",))) == "non_permissive"


@pytest.mark.parametrize(
    "line",
    [
        "# License: see LICENSE",
        "# licence: same as the project",
        "# A parser of CDDL, and of MPLS frames",
        "# License: MIT",
    ],
)
def test_a_header_that_points_elsewhere_does(line: str) -> None:
    assert license_type(effective(line + "\nx = 1\n", ("MIT",))) == "permissive"


@pytest.mark.parametrize("clause", sorted(CLAUSES))
def test_a_header_does_not_lift_a_clause_of_its_folder(clause: str) -> None:
    text = "# SPDX-License-Identifier: MIT\nx = 1\n"
    assert license_type(effective(text, ("MIT", clause))) == "non_permissive"
