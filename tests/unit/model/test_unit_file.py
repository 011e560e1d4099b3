import itertools

import pytest

from builders.model.target import SUITES
from builders.model.unit_file import SINCE, for_systemd, newer_settings

UNIT = """\
[Unit]
Description=a sample

[Service]
ExecStart=/usr/bin/sample \\
    --flag
# the clock
ProtectClock=yes
  ProtectHostname = yes
RestrictSUIDSGID=yes
PrivateTmp=yes

[Install]
WantedBy=multi-user.target
"""


def test_newer_keys_give_way_to_a_comment() -> None:
    text = UNIT.replace("ProtectClock=yes", "# ProtectClock=yes needs systemd 245; this system has 241.")
    text = text.replace("  ProtectHostname = yes", "# ProtectHostname=yes needs systemd 242; this system has 241.")
    text = text.replace("RestrictSUIDSGID=yes", "# RestrictSUIDSGID=yes needs systemd 242; this system has 241.")
    assert for_systemd(UNIT, 241) == text


@pytest.mark.parametrize(
    ("version", "keys"),
    [
        (241, ["ProtectClock", "ProtectHostname", "RestrictSUIDSGID"]),
        (242, ["ProtectClock"]),
        (244, ["ProtectClock"]),
        (245, []),
    ],
)
def test_a_key_is_known_from_its_version_on(version: int, keys: list[str]) -> None:
    assert [setting.key for setting in newer_settings(UNIT, version)] == keys


def test_a_unit_without_newer_keys_is_the_same() -> None:
    assert for_systemd(UNIT, 257) == UNIT
    for text in ("", "\n", "[Unit]", "[Unit]\r\nAfter=a\r\n", "nonsense\n=\n\\\n", "PrivateTmp=\\"):
        assert for_systemd(text, 241) == text


@pytest.mark.parametrize(
    ("lines", "value"),
    [
        (["ExecCondition=/bin/a \\", "    --b \\", "  c"], "/bin/a --b c"),
        (["ExecCondition=/bin/a \\", "# a comment between \\", "; and another", "  c"], "/bin/a c"),
        (["ExecCondition=/bin/a \\", ""], "/bin/a"),
        (["ExecCondition=/bin/a \\\\\\", "b"], "/bin/a \\\\ b"),
        (["ExecCondition= \\", "/bin/a"], "/bin/a"),
        (["ExecCondition \\", "=/bin/a"], "/bin/a"),
        (["ExecCondition="], ""),
    ],
)
def test_continued_lines_go_with_their_key(lines: list[str], value: str) -> None:
    """systemd.syntax(7): comments between the lines are ignored, an escaped backslash continues nothing."""
    text = "\n".join(["[Service]", *lines, "PrivateTmp=yes"])
    note = f"# ExecCondition={value} needs systemd 243; this system has 241."
    assert for_systemd(text, 241) == f"[Service]\n{note}\nPrivateTmp=yes"


@pytest.mark.parametrize(
    "text",
    [
        "[Service]\n#ProtectClock=yes\n; ProtectClock=yes\n",
        "[Service]\nExecStart=/bin/a \\\nProtectClock=yes\n",
        "[X-Other]\nProtectClock=yes\n",
        "[Service]\nX-ProtectClock=yes\nProtectClocks=yes\nprotectclock=yes\nProtectClock\n",
    ],
)
def test_what_only_looks_like_a_newer_key_stays(text: str) -> None:
    assert for_systemd(text, 241) == text


def test_a_comment_continues_nothing() -> None:
    text = "[Service]\n# a comment \\\nProtectClock=yes\n"
    assert [setting.key for setting in newer_settings(text, 241)] == ["ProtectClock"]
    assert [setting.key for setting in newer_settings("a=b \\\\\nProtectClock=yes\n", 241)] == ["ProtectClock"]


def test_the_last_line_may_be_continued() -> None:
    assert for_systemd("ProtectClock=yes\\", 241) == "# ProtectClock=yes needs systemd 245; this system has 241."


def test_every_unit_of_four_lines_is_known_afterwards() -> None:
    """Whatever lines follow each other: no newer key is left, what is left is the original's, and it is stable."""
    kinds = ["[Service]", "[X-A]", "# c \\", "", "ProtectClock=yes", "OOMPolicy=a\\", "PrivateTmp=yes", "User=a \\"]
    for lines in itertools.product(kinds, repeat=4):
        text = "\n".join(lines)
        changed = for_systemd(text, 241)
        assert newer_settings(changed, 241) == [], lines
        assert for_systemd(changed, 241) == changed
        kept = iter(lines)
        assert all(line in kept for line in changed.split("\n") if " needs systemd " not in line), lines


def test_conditions_are_also_asserted() -> None:
    assert SINCE["AssertCredential"] == SINCE["ConditionCredential"] == 252


def test_no_key_is_newer_than_the_newest_suite() -> None:
    versions = {suite.systemd for suite in SUITES.values()}
    assert all(min(versions) < since <= max(versions) for since in SINCE.values())
