"""The page for people: what it names is there, it follows what is published, and people can use it in a browser."""

import gzip
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest
from selenium.webdriver import Chrome, Keys
from selenium.webdriver.common.by import By

from builders.apt.packages import changelogs
from builders.apt.repository.layout import KEYRING
from builders.apt.verify.server import serving
from builders.model.settings import RepositorySettings, Settings
from tests.support.browser import CONTRAST, asked, chromium, look
from tests.support.repository import DATE, Publisher, facts_of

PHONE, DESKTOP = 360, 1200


class Links(HTMLParser):
    """Collects links, and that each tag that opens is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [value for name, value in attrs if name == "href" and value and value[0] != "#"]
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def read(publisher: Publisher) -> tuple[str, Links]:
    text = (publisher.repository / "index.html").read_text()
    links = Links()
    links.feed(text)
    assert links.open == []
    return text, links


def changelog(name: str, *versions: str, text: str = "Mended.") -> bytes:
    blocks = (
        f"{name} ({version}) trixie; urgency=medium\n\n  * {text}\n\n"
        f" -- Lab <lab@example.org>  Sat, 1{number} Jan 2026 23:30:00 +0000\n\n"
        for number, version in enumerate(versions)
    )
    return gzip.compress("".join(blocks).encode())


def test_the_page(publisher: Publisher) -> None:
    publisher.settings = Settings(repository=RepositorySettings(url="https://apt.lab", label="Lab <&> boards"))
    strange = publisher.deb("reef-strange", fields={"Description": "<script>alert(1)</script> & more"})
    publisher.publish(publisher.deb(), publisher.deb(version="2~rc1+x"), strange)
    text, links = read(publisher)
    assert "&lt;script&gt;alert(1)" in text
    assert text.count("<script>") == 1, "our own"
    assert "<title>Lab &lt;&amp;&gt; boards packages</title>" in text
    for link in links.links:
        assert (publisher.repository / unquote(link)).is_file(), link
    assert {unquote(link) for link in links.links if link.endswith(".deb")} == {
        str(path.relative_to(publisher.repository)) for path in publisher.repository.glob("pool/**/*.deb")
    }
    assert f"sudo wget -O /usr/share/keyrings/{KEYRING} \\\n  https://apt.lab/{KEYRING}\n" in text
    assert "Suites: trixie" in text
    assert publisher.key.fingerprint in re.sub(r"\s", "", text)
    assert "It ends on" in text
    assert not re.search(r'(src|href)="(https?:)?//', text), "nothing from elsewhere"


def test_it_follows_what_is_published(publisher: Publisher) -> None:
    debs = [publisher.deb(), publisher.deb(architecture="armhf"), publisher.deb(version="0.9")]
    publisher.publish(*debs)
    publisher.publish(publisher.deb("reef-book"), suite="bookworm", date=DATE + 86400)
    text, _ = read(publisher)
    assert text.index('id="bookworm"') < text.index('id="trixie"')
    assert "reef-book" in text
    assert re.search(r"last changed on\s+<time [^>]*>2025-06-16<", text)
    assert "1 older" in text
    assert text.count(">2025-06-15<") == 4, "the day of each .deb's publication, and the suite's"
    # Where no URL is set: wget knows no file: scheme.
    assert f"sudo cp {publisher.repository}/{KEYRING} /usr/share/keyrings/{KEYRING}\n" in text
    before = facts_of(publisher.repository)
    assert not publisher.publish(*debs, date=DATE + 9 * 86400).changed
    assert facts_of(publisher.repository) == before
    publisher.publish(publisher.deb(version="1.1"), date=DATE + 9 * 86400)
    text, _ = read(publisher)
    assert "armhf 1.0-1" in text, "where one CPU lags behind"
    assert "not for Raspberry Pi 1, Zero and Zero W" in text
    assert text.count(">2025-06-24<") == 3


def test_what_changed_is_told(publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the newest version's own changelog, which is read once."""
    asked: list[str] = []
    real = changelogs._packed

    def counted(handle: int, package: str) -> bytes:
        asked.append(package)
        return real(handle, package)

    monkeypatch.setattr(changelogs, "_packed", counted)
    text = "Faster <b>by half</b>\n    on Cortex-A53."
    debs = [
        publisher.deb(version="2", changelog=changelog("reef-demo", "2", "1", text=text)),
        publisher.deb("reef-more"),
    ]
    publisher.publish(*debs)
    page, _ = read(publisher)
    assert "* Faster &lt;b&gt;by half&lt;/b&gt;\n  on Cortex-A53." in page
    assert re.findall(r"<dt>(\S+) <time[^>]*>([0-9-]+)<", page) == [("2", "2026-01-10"), ("1", "2026-01-11")]
    publisher.publish(publisher.deb("reef-third"), date=DATE + 60)
    assert sorted(asked) == ["reef-demo", "reef-more", "reef-third"]
    assert "What changed" in read(publisher)[0]
    # A lost or broken memory costs reading, nothing else.
    (publisher.state / "changelogs.sqlite").write_bytes(b"no database" * 100)
    publisher.publish(publisher.deb("reef-fourth"), date=DATE + 120)
    with closing(sqlite3.connect(publisher.state / "changelogs.sqlite")) as record:
        assert record.execute("SELECT count(*) FROM changelogs").fetchone() == (4,)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x1f\x8b broken",
        b"no changelog at all",
        gzip.compress(b"\xff\xfe" * 99, mtime=0),
        gzip.compress(b"\0" * (200 << 20), mtime=0),
    ],
)
def test_strange_changelogs_are_no_news(
    publisher: Publisher, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:  # fmt: skip
    publisher.publish(publisher.deb(changelog=content))
    assert "What changed" not in read(publisher)[0]
    assert caplog.text == ""


def test_thousands_are_not_a_page(publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builders.apt.publish.web_page.MOST_SHOWN", 2)
    publisher.publish(*(publisher.deb(f"reef-{number}") for number in range(5)))
    text, links = read(publisher)
    assert "5 packages" in text
    assert "And 3 more" in text
    assert sum(link.endswith(".deb") for link in links.links) == 2


@pytest.fixture(scope="module")
def driver() -> Iterator[Chrome]:
    with chromium() as made:
        yield made


@pytest.fixture
def url(publisher: Publisher) -> Iterator[str]:
    """A page with what is hard to show: long words, many versions, two suites."""
    publisher.settings = Settings(
        repository=RepositorySettings(url="https://apt.example.org/a/rather/long/path/to/boards/")
    )
    long = "a-package-with-an-exceedingly-long-name-that-nobody-should-choose"
    version = "1:20261231.0123456789abcdef+really2.14.1~rc1-0ubuntu1.1~bpo12+1"
    news = changelog(long, version, text="Unbroken: " + "x" * 300)
    publisher.publish(publisher.deb(long, version, changelog=news), publisher.deb(), publisher.deb(version="0.9"))
    publisher.publish(publisher.deb(architecture="all"), suite="trixie-testing")
    with serving(publisher.repository) as served:
        yield served


@pytest.mark.parametrize("width", [320, PHONE, DESKTOP])
@pytest.mark.parametrize("scripts", [True, False])
def test_nothing_is_wider_than_the_screen(driver: Chrome, url: str, width: int, scripts: bool) -> None:
    look(driver, width, scripts=scripts)
    driver.get(url)
    for summary in driver.find_elements(By.TAG_NAME, "summary"):
        summary.click()
    assert asked(driver, "document.querySelectorAll('details[open]').length") == 2
    assert asked(driver, "document.documentElement.scrollWidth") == width
    wide = "[...document.querySelectorAll('body *')].filter(e => !e.closest('pre') && e.getBoundingClientRect().right >"
    assert asked(driver, f"{wide} {width}).map(e => e.outerHTML)") == []


@pytest.mark.parametrize("width", [320, PHONE, 639, 640, 860, DESKTOP])
def test_the_button_covers_no_command(driver: Chrome, url: str, width: int) -> None:
    """Not even the end of a line that is scrolled: no line is at the height of the button."""
    look(driver, width)
    driver.get(url)
    lines = """
    [...document.querySelectorAll(".add")].map(add => {
      const button = add.querySelector("button").getBoundingClientRect(), range = document.createRange();
      range.selectNodeContents(add.querySelector("code"));
      const rows = [...range.getClientRects()];
      return {rows: rows.length, shown: button.width > 40 && button.height > 30,
              beside: rows.filter(row => row.top < button.bottom && row.bottom > button.top).length};
    })"""
    found = asked(driver, lines)
    assert [(each["shown"], each["beside"]) for each in found] == [(True, 0), (True, 0)]
    assert min(each["rows"] for each in found) > 8


@pytest.mark.parametrize("clipboard", [True, False])
def test_the_button_copies_what_adds_a_suite(driver: Chrome, url: str, clipboard: bool) -> None:
    look(driver, DESKTOP)
    driver.get(url)
    grant = {"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"], "origin": url}
    driver.execute_cdp_cmd("Browser.grantPermissions", grant)
    driver.execute_async_script("navigator.clipboard.writeText('other').then(arguments[0])")
    if not clipboard:  # as on a page without HTTPS
        driver.execute_script("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    button = driver.find_elements(By.CSS_SELECTOR, ".add button")[1]
    wanted = driver.find_elements(By.CSS_SELECTOR, ".add code")[1].text
    button.click()
    driver.execute_script("document.body.insertAdjacentHTML('beforeend', '<textarea id=paste></textarea>')")
    field = driver.find_element(By.ID, "paste")
    field.send_keys(Keys.CONTROL, "v")
    pasted = str(field.get_property("value"))
    assert pasted.strip() == wanted.strip()
    assert button.text == "Copied"
    assert "Suites: trixie-testing" in pasted
    assert pasted.startswith("sudo wget -O /usr/share/keyrings/reef-archive-keyring.gpg \\\n")


def test_without_scripts_it_is_all_there(driver: Chrome, url: str) -> None:
    look(driver, PHONE, scripts=False)
    driver.get(url)
    assert [button.is_displayed() for button in driver.find_elements(By.CSS_SELECTOR, ".add button")] == [False, False]
    text = driver.find_element(By.TAG_NAME, "body").text
    assert "Suites: trixie-testing" in text
    driver.find_element(By.TAG_NAME, "summary").click()
    assert driver.find_element(By.TAG_NAME, "dd").is_displayed()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast(driver: Chrome, url: str, scheme: str) -> None:
    """WCAG AA wants 4.5 of text; dark is really dark."""
    look(driver, PHONE, scheme=scheme)
    driver.get(url)
    for summary in driver.find_elements(By.TAG_NAME, "summary"):
        summary.click()
    found = asked(driver, CONTRAST)
    assert len(found) > 40
    assert [(ratio, text) for ratio, text in found if ratio < 4.5] == []
    ground = asked(driver, "getComputedStyle(document.body).backgroundColor.match(/[0-9]+/)[0]")
    assert (int(ground) < 60) == (scheme == "dark")


def test_it_opens_from_the_folder(driver: Chrome, publisher: Publisher) -> None:
    """Also as a file of a disk, and nothing is asked of another place."""
    publisher.publish(publisher.deb())
    look(driver, DESKTOP)
    driver.get((publisher.repository / "index.html").as_uri())
    names = asked(driver, "performance.getEntriesByType('resource').map(e => e.name)")
    assert [name for name in names if not name.endswith("favicon.ico")] == []
    path = Path(
        unquote(str(driver.find_element(By.CSS_SELECTOR, ".builds a").get_property("href")).partition("://")[2])
    )
    assert path.is_file()
