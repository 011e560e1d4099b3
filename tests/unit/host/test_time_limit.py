"""The time box: how a time is written, and that it ends what runs as Ctrl-C does."""

import io
import signal
import time

import pytest
from invoke.context import Context
from rich.console import Console

from builders.cli import build
from builders.cli.command_line import BuildRequest
from builders.errors import InputError
from builders.host.log import Log
from builders.host.time_limit import TimeBoxOver, parse_duration, time_box

LOG = Log(live=False, console=Console(file=io.StringIO()))


@pytest.mark.parametrize(("text", "seconds"), [("5h", 18000), ("90m", 5400), ("1h30m", 5400), ("0.5s", 0.5)])
def test_times_are_read(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "h", "5 h", "-5h", "5d", "0s", "5h x"])
def test_other_words_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="not a time"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["721h", "9999999999999h", "9" * 400 + "h"])
def test_what_no_timer_takes_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="too long for a time box"):
        parse_duration(text)
    assert parse_duration("720h") == 720 * 3600


@pytest.mark.parametrize("plan", [True, False])
@pytest.mark.parametrize("text", ["soon", "9999999999999h"])
def test_a_wrong_time_box_is_reported_before_anything_else(
    text: str, plan: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "open_project", lambda: pytest.fail("the time box was not looked at first"))
    before = signal.getsignal(signal.SIGALRM)
    with pytest.raises(InputError):
        build.build_arm(Context(), BuildRequest(plan=plan, time_box=text))
    assert signal.getsignal(signal.SIGALRM) == before


def test_it_ends_what_takes_longer_and_says_what_that_was() -> None:
    before = signal.getsignal(signal.SIGALRM)

    def long() -> None:
        with time_box(0.2, LOG), LOG.step("a long one") as step:
            step.line("[3/7] x")
            time.sleep(10)

    with pytest.raises(TimeBoxOver) as caught:
        long()
    assert caught.value.at == "a long one (3 of 7)"
    assert isinstance(caught.value, KeyboardInterrupt)
    assert signal.getsignal(signal.SIGALRM) == before


def test_nothing_is_left_of_it_where_the_block_was_quicker() -> None:
    with time_box(0.3, LOG):
        pass
    with time_box(None, LOG):
        time.sleep(0.5)
