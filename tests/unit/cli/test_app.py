"""The program itself: which project it works on, what it lists, and its own options."""

import re
from pathlib import Path

import pytest
from invoke.parser.context import ParserContext

from builders import __version__
from builders.cli import app
from builders.errors import InputError


@pytest.fixture
def unnamed(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """No variable names the project."""
    monkeypatch.delenv("REEF_FOLDER")
    return monkeypatch


def project(folder: Path) -> Path:
    (folder / "below" / "deep").mkdir(parents=True)
    (folder / "reef.yml").write_text("engine: chroot\n")
    return folder


def test_the_nearest_project_upward_is_used(tmp_path: Path, unnamed: pytest.MonkeyPatch) -> None:
    outer = project(tmp_path / "outer")
    inner = project(outer / "inner")
    for folder, expected in [(outer, outer), (outer / "below" / "deep", outer), (inner / "below", inner)]:
        unnamed.chdir(folder)
        assert app.find_project() == expected


def test_without_a_project_upward_it_is_reefs_own(tmp_path: Path, unnamed: pytest.MonkeyPatch) -> None:
    (tmp_path / "reef.yml").mkdir()  # a folder of that name holds no settings
    unnamed.chdir(tmp_path)
    assert app.find_project() == app.CHECKOUT


def test_a_link_to_a_folder_below_a_project_leads_to_it(tmp_path: Path, unnamed: pytest.MonkeyPatch) -> None:
    folder = project(tmp_path / "project")
    (tmp_path / "link").symlink_to(folder / "below")
    unnamed.chdir(tmp_path / "link")
    assert app.find_project() == folder


def test_the_variable_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project(tmp_path / "here"))
    monkeypatch.setenv("REEF_FOLDER", "../there")
    (tmp_path / "there").mkdir()
    assert app.find_project() == tmp_path / "there"


def test_a_variable_that_names_no_folder_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project(tmp_path))
    monkeypatch.setenv("REEF_FOLDER", "nowhere")
    with pytest.raises(InputError, match=f"no such folder: {tmp_path}/nowhere") as caught:
        app.open_project()
    assert "REEF_FOLDER" in caught.value.detail


def test_a_current_folder_that_is_gone_names_no_project(tmp_path: Path, unnamed: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    unnamed.chdir(folder)
    folder.rmdir()
    with pytest.raises(InputError, match="the current folder no longer exists"):
        app.find_project()


def test_a_project_that_is_not_reefs_own_is_printed_once(
    tmp_path: Path, unnamed: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    app._say_once.cache_clear()
    unnamed.chdir(project(tmp_path) / "below")
    for _ in range(2):
        assert app.open_project(without_recipes=True).folder == tmp_path
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", f"project: {tmp_path}\n")
    unnamed.setenv("REEF_FOLDER", str(tmp_path))
    app.open_project(without_recipes=True)
    assert capsys.readouterr().err == f"project: {tmp_path} (REEF_FOLDER)\n"


def test_reefs_own_project_is_not_printed(
    tmp_path: Path, unnamed: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    checkout = project(tmp_path / "checkout")
    unnamed.setattr(app, "CHECKOUT", checkout)
    unnamed.chdir(checkout / "below")
    app.open_project(without_recipes=True)
    assert capsys.readouterr().err == ""
    unnamed.chdir(tmp_path)
    app.open_project(without_recipes=True)
    assert capsys.readouterr().err == f"project: {checkout} (Reef's own: no reef.yml here or above)\n"


def run(*words: str) -> None:
    app.program().run(["reef", *words], exit=False)


@pytest.mark.parametrize("option", ["--version", "-V"])
def test_the_version_is_that_of_reef_and_what_runs_it(capsys: pytest.CaptureFixture[str], option: str) -> None:
    run(option)
    assert re.fullmatch(
        rf"Reef {re.escape(__version__)} \(Invoke \d+\.\d+\.\d+, Python 3\.\d+\.\d+\S*\)\n", capsys.readouterr().out
    )


@pytest.mark.parametrize("option", ["--list", "-l"])
def test_the_list_shows_every_command_in_its_group_on_one_screen(
    capsys: pytest.CaptureFixture[str], option: str
) -> None:
    run(option)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 45
    assert max(map(len, lines)) <= 80
    assert [line.split()[0] for line in lines[:-2] if not line.startswith(" ")] == list(app.GROUPS)
    listed = {match[1] for line in lines[:-2] if (match := re.match(r"(?:\w+)? +([a-z-]+)  +[A-Z].*\.$", line))}
    assert listed == set(app.tasks().tasks)
    assert lines[-1] == "Options of a command: ./inv --help COMMAND"


def short_forms(context: ParserContext) -> set[str]:
    return {flag for flag in (*context.flags, *context.flags.aliases) if not flag.startswith("--")}


def test_no_option_has_a_one_letter_form_that_nobody_chose() -> None:
    assert [command.name for command in app.tasks().to_contexts() if short_forms(command)] == []
    assert short_forms(app.program().initial_context) == {"-h", "-l", "-V"}


def test_a_one_letter_option_behind_a_command_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    run("build-arm", "-p")  # once --plan, and Invoke's --pty
    assert "No idea what '-p' is!" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        (["build-amr"], "did you mean 'build-arm'? ./inv --list shows all commands"),
        (["build-arm", "--taget", "x"], "did you mean '--target'? ./inv --help build-arm shows its options"),
        (["build-arm", "--taget=x"], "did you mean '--target'? ./inv --help build-arm shows its options"),
        (["build-arm", "--zzzzzz"], "./inv --help build-arm shows its options"),
        (["build-arm", "-p"], "./inv --help build-arm shows its options"),
        (["explain"], "./inv --help explain shows its options"),
    ],
)
def test_a_command_line_that_is_wrong_says_what_to_do(
    words: list[str], advice: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run(*words)
    assert capsys.readouterr().err.endswith(f"  what to do: {advice}\n")


@pytest.mark.parametrize(
    "words", [("--help", "build-arm"), ("build-arm", "--help"), ("build-arm", "-h"), ("list", "build-arm", "--help")]
)
def test_help_of_a_command_shows_its_options(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    run(*words)
    said = capsys.readouterr().out
    assert "Usage: ./inv [--core-opts] build-arm" in said
    assert "--time-box=STRING" in said


@pytest.mark.parametrize("command", ["new", "rollback", "promote", "phase"])
def test_help_is_no_argument_that_a_command_requires(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    run(command, "--help")
    assert f"Usage: ./inv [--core-opts] {command} [--options]" in capsys.readouterr().out


def test_an_installed_reef_needs_a_project(tmp_path: Path, unnamed: pytest.MonkeyPatch) -> None:
    unnamed.setattr(app, "CHECKOUT", None)
    unnamed.chdir(tmp_path)
    with pytest.raises(InputError, match="no project here") as caught:
        app.open_project()
    assert ">reef.yml" in caught.value.fix


def test_an_installed_reef_lists_no_command_of_developers(unnamed: pytest.MonkeyPatch) -> None:
    unnamed.setattr(app, "CHECKOUT", None)
    assert {"check", "test", "bench"} & set(app.tasks().tasks) == set()
    assert {"build-arm", "schema", "set-up"} <= set(app.tasks().tasks)


def test_a_shells_pattern_of_debs_is_one_option_for_each_file() -> None:
    words = ["inv", "publish-apt", "--deb", "a.deb", "b.deb", "c.deb", "--target", "trixie/arm64", "x.deb"]
    expected = ["inv", "publish-apt", "--deb", "a.deb", "--deb", "b.deb", "--deb", "c.deb", *words[6:]]
    assert app.each_deb(words) == expected
    assert app.each_deb(expected) == expected
    assert app.each_deb(["inv", "new", "vendor", "--prebuilt", "a.deb", "b.deb"])[-2:] == ["--prebuilt", "b.deb"]
    assert app.each_deb(["inv", "a.deb"]) == ["inv", "a.deb"]
