from pathlib import Path

import pytest

from builders.apt.keys.gnupg import home_path
from builders.errors import InputError
from builders.model.settings import Settings, load_settings


def test_defaults_where_there_is_no_file(tmp_path: Path) -> None:
    assert load_settings(tmp_path) == Settings()
    (tmp_path / "reef.yml").write_text("# nothing set\n")
    assert load_settings(tmp_path) == Settings()
    assert [str(target) for target in Settings().default_targets()] == ["trixie/arm64"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mirors: {}\n", "reef.yml:1: unknown key 'mirors'; did you mean 'mirrors'?"),
        ("repository:\n  orign: x\n", "reef.yml:2: unknown key 'repository.orign'; did you mean 'origin'?"),
        ("targets: [trixie/amr64]\n", "did you mean 'arm64'?"),
        ("maintainer: Me\n", "maintainer: String should match pattern"),
        ("ccache_size: lots\n", "ccache_size: String should match pattern"),
        ("targets: []\n", "targets: List should have at least 1 item"),
        ("jobs: 2\njobs: 3\n", "reef.yml:2: duplicate key 'jobs'"),
        ("jobs: 0\n", "jobs: Input should be greater than or equal to 1"),
        ("debian_mirror: notaurl\n", "debian_mirror: String should match pattern"),
        ('repository: {component: "a b"}\n', "component: String should match pattern"),
        ("repository: {component: ../x}\n", "component: String should match pattern"),
        ("repository: {component: a/b}\n", "component: String should match pattern"),
        ("repository: {url: x y}\n", "not a URL for apt: 'x y'; expected for example https://apt.example.org/"),
        ('repository: {url: "https://apt.example.org/a b"}\n', "not a URL for apt"),
        ('repository: {url: "https://"}\n', "not a URL for apt: 'https://'"),
        ('repository: {url: "https:///apt"}\n', "not a URL for apt"),
        ("repository: {url: apt.example.org}\n", "not a URL for apt"),
        (
            "repository: {upload: [{name: a, kind: folder, path: /x, url: example.org/x}]}\n",
            "not a URL for apt: 'example.org/x'",
        ),
        ("repository: {valid_days: 5000000}\n", "valid_days: Input should be less than or equal to 36500"),
        ("repository: {clients: [trixy]}\n", "unknown release: 'trixy'; did you mean 'trixie'?"),
        (
            "repository: {clients: [buster]}\n",
            "no root can be made of buster, which Debian's mirrors no longer hold",
        ),
        ('artifacts: ""\n', "artifacts: "),
        ("artifacts: /\n", "expected the path of a folder other than /"),
        ("recipes: //\n", "expected the path of a folder other than /"),
        (
            "buildx: {nodes: [{name: a, endpoint: tcp://x:1}, {name: a, endpoint: tcp://y:1}]}\n",
            "duplicate name of a node: 'a'",
        ),
        ("mirrors: &mirrors {b: *mirrors}\n", "an alias is a part of itself"),
        ("signing: {home: artifacts/gnupg}\n", "signing.home is inside {folder}/artifacts"),
        ("artifacts: out\nsigning: {home: x/../out}\n", "signing.home is inside {folder}/out"),
        ("cache: 1.0\n", "reef.yml:1: cache: expected a text; put it in quotes"),
        ("repository: main\n", "reef.yml:1: repository: expected a mapping of keys to values"),
        ("targets: trixie/arm64\n", "reef.yml:1: targets: expected a list"),
        ("- a\n", "expected a mapping of keys to values"),
    ],
)
def test_wrong_settings_are_reported(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "reef.yml").write_text(text)
    with pytest.raises(InputError) as caught:
        load_settings(tmp_path)
    assert message.replace("{folder}", str(tmp_path)) in str(caught.value)


def test_a_relative_home_of_the_key_is_the_same_from_every_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REEF_GNUPGHOME", raising=False)
    (tmp_path / "reef.yml").write_text("signing: {home: keys/gnupg}\n")
    monkeypatch.chdir("/")
    assert home_path(load_settings(tmp_path)) == tmp_path / "keys" / "gnupg"
    (tmp_path / "reef.yml").write_text("signing: {home: ~/gnupg}\n")
    assert home_path(load_settings(tmp_path)) == Path.home() / "gnupg"
