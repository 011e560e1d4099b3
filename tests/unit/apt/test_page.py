"""The page for people: what it names is there, it needs no script, and it follows what is published."""

import re
from html.parser import HTMLParser
from urllib.parse import unquote

from builders.apt import KEYRING
from builders.settings import Repository, Settings

from .support import DATE, Publisher


class Links(HTMLParser):
    """Collects tags and links, and that each tag that opens is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.open: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [value for name, value in attrs if name == "href" and value]
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


def test_the_page(publisher: Publisher) -> None:
    publisher.settings = Settings(repository=Repository(url="https://apt.lab", label="Lab <&> boards"))
    strange = publisher.deb("reef-strange", fields={"Description": "<script>alert(1)</script> & more"})
    publisher.publish(publisher.deb(), publisher.deb(version="2~rc1+x"), strange)
    text, links = read(publisher)
    assert "script" not in links.tags
    assert "&lt;script&gt;alert(1)" in text
    assert "<title>Lab &lt;&amp;&gt; boards packages</title>" in text
    for link in links.links:
        assert (publisher.repository / unquote(link)).is_file(), link
    assert {unquote(link) for link in links.links if link.endswith(".deb")} == {
        str(path.relative_to(publisher.repository)) for path in publisher.repository.glob("pool/**/*.deb")
    }
    assert f"https://apt.lab/{KEYRING}" in text
    assert "Suites: trixie" in text
    assert publisher.key.fingerprint in text
    assert "It ends on" in text
    assert 'name="viewport"' in text
    assert "color-scheme: light dark" in text
    assert not re.search(r'(src|href)="(https?:)?//', text), "nothing from elsewhere"


def test_it_follows_what_is_published(publisher: Publisher) -> None:
    publisher.publish(publisher.deb())
    publisher.publish(publisher.deb("reef-book"), suite="bookworm", date=DATE + 86400)
    text, _ = read(publisher)
    assert text.index('id="bookworm"') < text.index('id="trixie"')
    assert "reef-book" in text
    assert "last changed on 2025-06-16" in text
    assert not publisher.publish(publisher.deb(), date=DATE + 9 * 86400).changed
    assert read(publisher)[0] == text
