"""The word list of the linters: what it refuses, what it lets pass, and what is still to do."""

from pathlib import Path

import pytest

from tools import words


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("the key that lies in the folder", "lies"),
        ("An error is told in three parts.", "told"),
        ("Tells whether a Docker engine answers.", "Tells"),
        ("a source that cannot be had at all", "be had"),
        ("correct the date, or mend it", "mend"),
        ("--strict wants a value", "wants"),
        ("a time zone is wanted", "wanted"),
        ("the key 'name' is there twice", "there twice"),
        ("the folder must be there", "be there"),
        ("an upload goes by the destination's limits", "goes by"),
        ("The variable REEF_CACHE goes first.", "variable REEF_CACHE goes first"),
        ("This lets go of old versions.", "lets go of"),
        ("a file without any key is one where it is empty", "is one"),
        ("raises BadControl for a field that is none", "is none"),
        ("move this one away", "this one"),
        ("The packages lie\n# in the pool.", "lie"),
        ('"""What stays when newer versions arrive."""', '"""What'),
    ],
)
def test_a_bad_sentence_is_refused(text: str, word: str) -> None:
    assert word in [found for _, found, _ in words.in_text(text)]


@pytest.mark.parametrize(
    "text",
    [
        "Return the available believers; an overlay underlies it.",
        "This is one package for every CPU, as one file of one kind.",
        "None where there is none; where there is one, it is used.",
        "Is there a file? There is one of each.",
        "Nobody can tell apart the two, and nobody had a card.",
        "unwanted recommendations, a whole tellurium layer",
        "The keyring goes first, then the index that one reads.",
        '"""What to do about a full disk; what follows is an example."""',
    ],
)
def test_plain_english_passes(text: str) -> None:
    assert list(words.in_text(text)) == []


def test_comments_strings_and_names_of_python_are_read() -> None:
    code = "\n".join([
        "def _told(wanted_keys):",
        '    """Return the error as it is told."""',
        "    # A key that is",
        "    # there twice.",
        "    for one in wanted_keys:",
        "        yield f'{one} is wanted'",
    ])  # fmt: skip
    found = {(line, word) for line, word, _ in words.in_python(code)}
    assert found >= {
        (1, "_told"), (1, "wanted_keys"), (2, "told"), (3, "is there"), (4, "there twice"), (5, "one"), (6, "wanted"),
    }  # fmt: skip


def test_texts_of_recipes_are_packages_and_their_comments_are_ours(tmp_path: Path) -> None:
    script = "    postinst: |\n      true\n      # it lies here\n\n      # and is told\n"
    text = f"summary: lets go of models\n# lets go of models\nscripts:\n{script}    # mend it\n"
    (tmp_path / "recipe.yml").write_text(text)
    assert [(line, word) for line, word, _ in words.in_file(tmp_path / "recipe.yml")] == [
        (2, "lets go of"), (9, "mend"),
    ]  # fmt: skip


def test_a_finding_fails_the_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "builders" / "apt").mkdir(parents=True)
    monkeypatch.setattr(words, "CHECKOUT", tmp_path)
    module = tmp_path / "builders" / "apt" / "page.py"
    module.write_text("# It lies here.\n")
    assert words.main([]) == words.main(["builders"]) == 1
    assert capsys.readouterr().out.startswith("builders/apt/page.py:1: 'lies': better is, ")
    assert words.main(["docs"]) == 0
    module.write_text("# It is here.\n")
    assert words.main([]) == 0
