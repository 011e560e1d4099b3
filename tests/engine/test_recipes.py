"""A recipe that builds against another recipe's packages."""

import textwrap

import pytest
import yaml

from builders.model.deb_file import control_of
from tests.support.place import Place

CALLER = "builds/reef-caller/trixie-arm64"


@pytest.fixture
def pair(place: Place) -> Place:
    recipe = yaml.safe_load((place.recipe / "recipe.yml").read_text())
    folder = place.folder / "recipes" / "reef-caller"
    (folder / "source").mkdir(parents=True)
    (folder / "source" / "call.c").write_text(
        textwrap.dedent("""\
            #include <reef/greet.h>
            #include <stdio.h>

            int main(void) {
                char text[64];
                greet(text, sizeof text, "caller");
                puts(text);
                return 0;
            }
            """)
    )
    recipe |= {
        "name": "reef-caller",
        "edits": [],
        "checks": [],
        "sources": [{"name": "reef-caller", "local": {"path": "source"}}],
        "build": {
            "recipes": {"reef-hello": ["libreef-greet-dev"]},
            "compile": "${DEB_HOST_GNU_TYPE}-gcc $CPPFLAGS $CFLAGS $LDFLAGS call.c -lreef-greet -o reef-caller\n",
            "install": 'install -D -m 755 reef-caller "$DESTDIR/usr/bin/reef-caller"\n',
        },
        "packages": [
            {"name": "reef-caller", "summary": "greeting for boards - caller", "files": ["usr/bin/reef-caller"]}
        ],
    }
    (folder / "recipe.yml").write_text(yaml.safe_dump(recipe))
    return place


def test_it_is_built_after_and_against_the_other(pair: Place) -> None:
    output = pair.run("build-arm", "--recipe", "reef-caller")
    assert output.index("run reef-hello/") < output.index("run reef-caller/")
    [deb] = (pair.artifacts / CALLER).glob("reef-caller_*.deb")
    assert "libreef-greet1 (>= 1.1)" in control_of(deb)["Depends"]
    pair.edit("hello, %s", "good day, %s", "source/greet.c")
    plan = pair.run("build-arm", "--plan", "--recipe", "reef-caller")
    assert "a recipe that it builds against changed (reef-hello)" in plan
    assert "source digest changed" in plan
