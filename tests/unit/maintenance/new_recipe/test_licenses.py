"""Licenses, recognised by the words of their texts and by the marks of files."""

from pathlib import Path

import pytest

from builders.maintenance.new_recipe import licenses
from tests.support.checkout import CHECKOUT

GPL_3 = (
    "GNU GENERAL PUBLIC LICENSE\n  Version 3, 29 June 2007\n Copyright (C) 2007 Free Software Foundation\nGNU Affero"
)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (GPL_3, "GPL-3"),
        (
            "GNU LESSER GENERAL PUBLIC LICENSE\nVersion 2.1, February 1999\n ... GNU General Public License version 2",
            "LGPL-2.1",
        ),
        (
            "GNU GENERAL PUBLIC LICENSE\nVersion 2, June 1991 ... use the GNU Lesser General Public License instead",
            "GPL-2",
        ),
        ("GNU GENERAL PUBLIC LICENSE Version 2 ... or the GNU Lesser General Public License, version 2.1", "GPL-2"),
        ("Redistributions in binary form must reproduce the above\n# copyright notice ...", "BSD-2-Clause"),
        ("Redistributions in binary form must reproduce the above copyright ... Neither the name of X", "BSD-3-Clause"),
        ("Permission to use, copy, modify, and distribute this software for any purpose with or without fee", "ISC"),
        ("All rights reserved. Nobody may use this.", ""),
    ],
)
def test_texts_are_recognised(text: str, name: str) -> None:
    assert licenses.recognised(text) == name


def test_the_license_of_this_project_is_recognised() -> None:
    assert licenses.recognised((CHECKOUT / "LICENSE").read_text()) == "Apache-2.0"


@pytest.mark.parametrize(
    ("spdx", "name"),
    [
        ("GPL-3.0-or-later", "GPL-3+"),
        ("GPL-2.0-only", "GPL-2"),
        ("LGPL-2.1+", "LGPL-2.1+"),
        ("Expat", "MIT"),
        ("Zlib", "Zlib"),
    ],
)
def test_names_are_debians(spdx: str, name: str) -> None:
    assert licenses.debian_name(spdx) == name


def test_files_say_whether_later_versions_hold(tmp_path: Path) -> None:
    (tmp_path / "COPYING").write_text(GPL_3)
    code = tmp_path / "main.c"
    code.write_text(
        "/* Copyright (C) 1999 Ada Lovelace\n   either version 3, or (at your option) any\n   later version. */\n"
    )
    found = licenses.rights(tmp_path)
    # The copyright of the license's text is not the program's.
    assert (found.license, found.text, found.statements) == ("GPL-3+", "", ("1999 Ada Lovelace",))
    code.write_text("/* SPDX-License-Identifier: GPL-3.0-only */\n")
    assert licenses.rights(tmp_path).license == "GPL-3"


def test_marks_of_files_name_a_license_without_a_text(tmp_path: Path) -> None:
    assert licenses.rights(tmp_path).license == ""
    (tmp_path / "a.py").write_text("# SPDX-License-Identifier: MIT\n")
    assert licenses.rights(tmp_path).license == "MIT"


def test_a_statement_is_whole_and_of_its_holder_once() -> None:
    text = """/* Copyright (C) 1990, 1998-2001, 2003-2006, 2009-2014 Free Software
   Foundation, Inc.
   Copyright (c) 2001 Ada Lovelace, All rights reserved.
   (C) Copyright 2003, 2001 Ada  Lovelace
   Copyright 2005,
   2006 Grace Hopper
   Copyright notices stay.

   This program is free software. */"""
    found = licenses.copyright_lines(text)
    assert found[0] == "1990, 1998-2001, 2003-2006, 2009-2014 Free Software Foundation, Inc"
    assert found[1:] == ["2001 Ada Lovelace", "2003, 2001 Ada Lovelace", "2005, 2006 Grace Hopper"]
    assert licenses.merged(found) == (found[0], "2001, 2003 Ada Lovelace", "2005-2006 Grace Hopper")
    assert licenses.merged(["1998-99, 2004 Ada", "1999 - 2002 ADA", "Grace"]) == ("1998-2002, 2004 Ada", "Grace")
