"""The page of the fleet in a real browser: all of it is readable, on a phone and in the dark, without scripts."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

from builders.boards.status.page import fleet_page
from tests.support.browser import CONTRAST, asked, chromium, look
from tests.support.fleet import NOW, Fleet

PHONE, DESKTOP = 360, 1200


BROKEN = """
[...document.querySelectorAll("thead th, .fleet th, .fleet td, .steps td:nth-child(2)")].filter(cell => {
  const range = document.createRange(), node = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT).nextNode();
  return [...node.data.matchAll(/[^ -]+/g)].some(word => {
    range.setStart(node, word.index); range.setEnd(node, word.index + word[0].length);
    return range.getClientRects().length > 1;
  });
}).map(cell => cell.textContent)"""
"""Cells with a word that is broken in the middle."""


@pytest.fixture(scope="module")
def driver() -> Iterator[Chrome]:
    with chromium() as made:
        yield made


@pytest.fixture
def page(tmp_path: Path) -> Path:
    path = tmp_path / "fleet.html"
    path.write_text(fleet_page("Lab <&> boards", Fleet(tmp_path / "records").statuses(), NOW))
    return path


def unfold(driver: Chrome) -> None:
    for summary in driver.find_elements(By.CSS_SELECTOR, "details:not([open]) summary"):
        summary.click()


def test_it_says_what_the_boards_said_and_nothing_comes_from_elsewhere(page: Path) -> None:
    text = page.read_text()
    assert "<title>Lab &lt;&amp;&gt; boards</title>" in text
    assert "vibration test &lt;b&gt;until&lt;/b&gt; the new year" in text
    assert "6 boards, 1 of them\ngood, as of" in text
    assert not re.search(r"<script|<link|<img|url\(|(src|href)=\"(?!#)", text)
    assert re.findall(r'<details id="board-(\w+)" open', text) == ["old", "asleep", "back", "new"]


@pytest.mark.parametrize("width", [320, PHONE, DESKTOP])
def test_nothing_is_wider_than_the_screen(driver: Chrome, page: Path, width: int) -> None:
    look(driver, width, scripts=False)
    driver.get(page.as_uri())
    unfold(driver)
    assert asked(driver, "document.querySelectorAll('details[open]').length") == 6
    assert asked(driver, "document.documentElement.scrollWidth") == width
    wide = "[...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right >"
    assert asked(driver, f"{wide} {width}).map(e => e.outerHTML)") == []
    assert asked(driver, BROKEN) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast(driver: Chrome, page: Path, scheme: str) -> None:
    """WCAG AA asks for 4.5 of text; dark is really dark."""
    look(driver, PHONE, scheme=scheme)
    driver.get(page.as_uri())
    unfold(driver)
    found = asked(driver, CONTRAST)
    assert len(found) > 100
    assert [(ratio, text) for ratio, text in found if ratio < 4.5] == []
    ground = asked(driver, "getComputedStyle(document.body).backgroundColor.match(/[0-9]+/)[0]")
    assert (int(ground) < 60) == (scheme == "dark")


def test_tables_have_headers_and_links_lead_to_boards(driver: Chrome, page: Path) -> None:
    look(driver, DESKTOP)
    driver.get(page.as_uri())
    tables = driver.find_elements(By.TAG_NAME, "table")
    assert len(tables) > 6
    for table in tables:
        heads = len(table.find_elements(By.CSS_SELECTOR, "thead th[scope=col]"))
        for row in table.find_elements(By.CSS_SELECTOR, "tbody tr"):
            assert len(row.find_elements(By.CSS_SELECTOR, "th, td")) == heads
    for link in driver.find_elements(By.CSS_SELECTOR, "table a"):
        assert driver.find_element(By.ID, str(link.get_attribute("href")).rpartition("#")[2]).tag_name == "details"
