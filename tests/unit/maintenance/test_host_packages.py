"""The list of Debian packages that Reef needs."""

from builders.maintenance import host_packages
from tests.support.checkout import CHECKOUT


def test_host_packages_have_reasons() -> None:
    for path in (host_packages.HOST_PACKAGES, CHECKOUT / "tests" / "host-packages.txt"):
        expected = host_packages.host_packages(path)
        assert all(reason for reason in expected.values())
    assert "mmdebstrap" in host_packages.host_packages()
