"""URLs that ``new`` takes for archives, and those that it takes for git repositories."""

import pytest

from builders.maintenance.new_recipe.origin import is_archive


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org/foo-1.0.tar.gz",
        "https://example.org/foo-1.0.TAR.GZ?key=1#top",
        "https://sourceforge.net/projects/foo/files/foo/1.0/foo-1.0.tar.gz/download",
        "https://sourceforge.net/projects/foo/files/foo-1.0.zip/download?use_mirror=x",
        "https://github.com/a/b/tarball/v1",
        "https://github.com/a/b/zipball/main",
        "https://github.com/a/b/archive/refs/tags/v1.0.tar.gz",
        "https://api.github.com/repos/a/b/tarball/v1.0",
        "https://api.github.com/repos/a/b/tarball",
        "https://codeload.github.com/a/b/tar.gz/refs/tags/v1.0",
        "https://codeload.github.com/a/b/legacy.tar.gz/v1.0",
        "https://gitlab.com/a/b/-/archive/v1.0/b-v1.0.tar.bz2",
        "https://gitlab.com/a/b/-/archive/v1.0",
        "https://gitlab.com/api/v4/projects/1/repository/archive?sha=v1.0",
        "https://gitlab.com/api/v4/projects/1/repository/archive.tar.gz",
    ],
)
def test_urls_of_archives(url: str) -> None:
    assert is_archive(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://github.com/a/b", "https://github.com/a/b.git", "https://github.com/a/zip", "https://gitlab.com/a/tarball/b.git",
        "https://example.org/download", "git+https://example.org/foo.zip", "git@github.com:a/b.git",
        "file:///srv/-/archive/foo", "https://sourceforge.net/projects/foo/files/download",
    ],
)  # fmt: skip
def test_urls_of_repositories(url: str) -> None:
    assert not is_archive(url)
