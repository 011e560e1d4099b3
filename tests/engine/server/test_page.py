"""The model server's status page in a real browser: on a phone and on a desk, by day and by night."""

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

from tests.support.browser import CONTRAST, asked, chromium, complaints, look
from tests.support.fake_board import Board
from tests.support.model_server import ModelServer, config, serving, until

PHONE, DESKTOP = 360, 1200
LONG = "a-model-of-an-exceedingly-long-name-without-any-blank-that-nobody-should-choose"
ASKED = {"instances": [1.0, 2.0, 5.0]}


@pytest.fixture(scope="module")
def server(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelServer]:
    """A server with all that the page shows: labels, two versions, a model that fails, a device that is missing."""
    folder = tmp_path_factory.mktemp("page")
    board = Board(folder / "devices", "usb:0", "pci:0")
    (board.folder / "pci:0").unlink()
    names = {"half_plus_two": "half_plus_two", LONG: "half_plus_two", "edgetpu": "edgetpu", "cut": "cut"}
    listed = [
        f'config {{ name: "{name}" base_path: "{models / model}" model_platform: "tensorflow" }}'
        for name, model in names.items()
    ]
    listed.append(
        f'config {{ name: "two_versions" base_path: "{models / "two_versions"}" model_platform: "tensorflow"'
        " model_version_policy { specific { versions: 1 versions: 2 } }"
        ' version_labels { key: "stable" value: 1 } version_labels { key: "canary" value: 2 } }'
    )
    path = config(folder, text=f"model_config_list {{ {' '.join(listed)} }}")
    flags = [flag for flag in board.flags(models) if not flag.startswith("--model_")]
    more = [f"--model_config_file={path}", "--max_num_load_retries=0"]
    with serving(folder, *more, *flags, FAKE_EDGETPU=str(board.folder)) as running:
        for model in ("half_plus_two", "two_versions"):
            for body in (ASKED, ASKED, {"instances": ["x"]}):
                running.request("POST", f"/v1/models/{model}:predict", body)
        running.request("POST", "/v1/models/edgetpu:predict", {"instances": [[0.0, 2.0, 4.0, 6.0]]})
        yield running


@pytest.fixture(scope="module")
def driver() -> Iterator[Chrome]:
    with chromium() as made:
        yield made


def url(server: ModelServer) -> str:
    return f"http://127.0.0.1:{server.rest_port}/"


def card(driver: Chrome, name: str) -> str:
    """Return the text of the card of a model or a device, by one call: the page replaces its elements."""
    texts = asked(driver, "[...document.querySelectorAll('.card')].map(card => card.innerText)")
    [found] = [text for text in texts if name in text.split("\n")]
    return re.sub(r"\n+", "\n", found)


def test_it_shows_models_versions_devices_rates_and_latency(driver: Chrome, server: ModelServer) -> None:
    look(driver, DESKTOP)
    driver.get(url(server))
    half = card(driver, "half_plus_two").split("\n")
    assert half[:2] == ["half_plus_two", "serving"]
    figures = dict(zip(half[3:13:2], half[4:14:2], strict=True))
    assert (figures["requests"], figures["errors"]) == ("3", "1")
    assert figures["mean run"].endswith(" ms")
    assert figures["90 % below"].endswith(" ms")
    float(figures["per second"])
    versions = card(driver, "two_versions")
    for text in ("Version 1", "stable", "Version 2", "canary", "available", "on cpu"):
        assert text in versions
    for text in ("not served", "failed", "cut or damaged"):
        assert text in card(driver, "cut")
    assert "on usb:0" in card(driver, "edgetpu")
    for text in ("ok", "runs", "failures", "restarts"):
        assert text in card(driver, "usb:0")
    for text in ("absent", "there is no device pci:0"):
        assert text in card(driver, "pci:0")
    assert LONG in driver.find_element(By.TAG_NAME, "body").text


def test_it_asks_nobody_else_and_complains_about_nothing(driver: Chrome, server: ModelServer) -> None:
    look(driver, DESKTOP)
    complaints(driver)  # forgets what was before
    driver.get(url(server))
    until(lambda: len(asked(driver, "performance.getEntriesByType('resource').map(e => e.name)")) > 0)
    names = asked(driver, "performance.getEntriesByType('resource').map(e => e.name)")
    assert [name for name in names if not name.startswith(url(server))] == []
    assert complaints(driver) == []


def test_its_figures_follow_and_it_says_when_nobody_answers(driver: Chrome, models: Path, tmp_path: Path) -> None:
    flags = ["--model_name=half_plus_two", f"--model_base_path={models / 'half_plus_two'}"]
    look(driver, PHONE)
    with serving(tmp_path, *flags) as server:
        driver.get(url(server))
        assert "requests\n0" in card(driver, "half_plus_two")
        for _ in range(7):
            server.request("POST", "/v1/models/half_plus_two:predict", ASKED)
        until(lambda: "requests\n7" in card(driver, "half_plus_two"))
    until(lambda: "No answer" in asked(driver, "document.querySelector('header').innerText"))
    assert "requests\n7" in card(driver, "half_plus_two")


@pytest.mark.parametrize("width", [320, PHONE, DESKTOP])
def test_nothing_is_wider_than_the_screen(driver: Chrome, server: ModelServer, width: int) -> None:
    look(driver, width)
    driver.get(url(server))
    assert asked(driver, "document.documentElement.scrollWidth") == width
    wide = "[...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right >"
    assert asked(driver, f"{wide} {width}).map(e => e.outerHTML)") == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast(driver: Chrome, server: ModelServer, scheme: str) -> None:
    """WCAG AA: 4.5 at least; dark is really dark."""
    look(driver, PHONE, scheme=scheme)
    driver.get(url(server))
    found = asked(driver, CONTRAST)
    assert len(found) > 40
    assert [(ratio, text) for ratio, text in found if ratio < 4.5] == []
    ground = asked(driver, "getComputedStyle(document.body).backgroundColor.match(/[0-9]+/)[0]")
    assert (int(ground) < 60) == (scheme == "dark")


def test_a_reader_of_the_screen_finds_its_way(driver: Chrome, server: ModelServer) -> None:
    """Language, title, one main part, headings in their order, letters that grow with the reader's setting."""
    look(driver, PHONE)
    driver.get(url(server))
    assert asked(driver, "document.documentElement.lang") == "en"
    assert driver.title
    assert len(driver.find_elements(By.TAG_NAME, "main")) == 1
    levels = asked(driver, "[...document.querySelectorAll('h1,h2,h3,h4')].map(e => +e.tagName[1])")
    assert driver.find_elements(By.CSS_SELECTOR, "link[rel=icon][href^='data:']"), "or it asks for /favicon.ico"
    assert levels[0] == 1
    assert all(later <= earlier + 1 for earlier, later in itertools.pairwise(levels)), levels
    assert "user-scalable" not in driver.page_source
    small = asked(driver, "getComputedStyle(document.querySelector('dd')).fontSize")
    asked(driver, "document.documentElement.style.fontSize = '32px'")
    large = asked(driver, "getComputedStyle(document.querySelector('dd')).fontSize")
    assert float(large.removesuffix("px")) == 2 * float(small.removesuffix("px"))


def test_without_scripts_it_is_all_there(driver: Chrome, server: ModelServer) -> None:
    look(driver, PHONE, scripts=False)
    driver.get(url(server))
    assert "half_plus_two" in driver.find_element(By.TAG_NAME, "body").text
    assert len(driver.find_elements(By.CSS_SELECTOR, "noscript meta[http-equiv=refresh]")) <= 1
