"""Kinds of boards: the findings on their facts, and the suite that each takes its packages from."""

import pytest

from builders.boards.connection import BoardError
from builders.boards.facts import BoardFacts, findings, parse_facts
from builders.boards.inventory import Board
from builders.boards.inventory.keys import BoardKeys
from builders.boards.rollout.offer import Offer, PublishedFile, offer_for
from builders.boards.rollout.plan import plan_board
from builders.model.packages import PackageFile

NOW = 1_790_000_000
COMMON = {
    "boot_id": "6cb4", "apt": "3.0.3", "architecture": "arm64", "machine": "aarch64", "page_size": "4096",
    "systemd": "257", "init": "systemd", "glibc": "glibc 2.41", "root": "ext4 rw,noatime", "time": str(NOW),
    "disk_root": "9000000 500000 /", "os_name": "Debian GNU/Linux 13 (trixie)", "os_codename": "trixie",
}  # fmt: skip
PI_OS_12 = {"os_name": "Debian GNU/Linux 12 (bookworm)", "os_codename": "bookworm", "glibc": "glibc 2.36",
            "systemd": "252", "apt": "2.6.1"}  # fmt: skip
RASPBIAN_12 = PI_OS_12 | {"os_name": "Raspbian GNU/Linux 12 (bookworm)", "architecture": "armhf"}
MENDEL = {
    "os_name": "Mendel GNU/Linux 5 (Eagle)", "os_id": "mendel", "os_codename": "eagle", "glibc": "glibc 2.28",
    "systemd": "241", "apt": "1.8.2.3", "kernel": "4.14.98-imx", "model": "Freescale i.MX8MQ Phanbell",
}  # fmt: skip
ALL = ("buster", "bullseye", "bookworm", "trixie")


def facts_of(**values: str) -> BoardFacts:
    lines = [f"{name}\t{value}" for name, value in (COMMON | values).items()]
    return parse_facts("board", "\n".join([*lines, "end\tcomplete"]), NOW, NOW + 1)


def ubuntu(number: str, codename: str, glibc: str, systemd: str) -> BoardFacts:
    return facts_of(os_name=f"Ubuntu {number} LTS", os_codename=codename, glibc=f"glibc {glibc}", systemd=systemd)


def offers(*suites: str, architectures: tuple[str, ...] = ("arm64", "armhf")) -> dict[str, Offer]:
    file = PublishedFile("/etc/file", b"content")
    debs = [PackageFile("demo", "1.0-1", architecture, 1, "00") for architecture in architectures]
    return {suite: Offer(suite, "stamp", debs, file, file) for suite in suites}


def board(**keys: object) -> Board:
    return Board("board", (), BoardKeys.model_validate(keys))


def errors(facts: BoardFacts) -> list[str]:
    return [str(finding) for finding in findings(facts) if finding.severity == "error"]


def notes(facts: BoardFacts) -> list[str]:
    return [finding.text for finding in findings(facts) if finding.severity == "note"]


@pytest.mark.parametrize(("facts", "suite"), [
    (facts_of(), "trixie"),
    (facts_of(**PI_OS_12), "bookworm"),
    (facts_of(**RASPBIAN_12), "bookworm"),
    (facts_of(os_codename="bullseye", glibc="glibc 2.31", systemd="247"), "bullseye"),
    (facts_of(**MENDEL), "buster"),
    (ubuntu("20.04.6", "focal", "2.31", "245"), "buster"),
    (ubuntu("22.04.5", "jammy", "2.35", "249"), "bullseye"),
    (ubuntu("24.04.3", "noble", "2.39", "255"), "bookworm"),
    (ubuntu("26.04", "resolute", "2.43", "259"), "trixie"),
    (facts_of(os_name="Debian GNU/Linux forky/sid", os_codename="forky", glibc="glibc 2.42", systemd="258"), "trixie"),
    (facts_of(os_name="Devuan", os_codename="daedalus", glibc="glibc 2.36", systemd=""), "bookworm"),
])  # fmt: skip
def test_every_system_takes_its_own_suite_or_the_newest_that_runs_on_it(facts: BoardFacts, suite: str) -> None:
    published = offers("trixie-testing", *ALL)
    assert offer_for(board(), facts, published).suite == suite
    notes = [str(note) for note in plan_board(board(), facts, published[suite]).notes]
    other = facts.text("os_codename") != suite
    assert (f"{facts.text('os_name')} takes the packages of {suite}" in notes) == other


def test_a_system_of_another_name_takes_what_is_published_for_its_cpu() -> None:
    noble = ubuntu("24.04.3", "noble", "2.39", "255")
    assert offer_for(board(), noble, offers("buster", "trixie")).suite == "buster"
    published = offers("buster") | offers("bullseye", architectures=("armhf",))
    assert offer_for(board(), noble, published).suite == "buster"
    assert offer_for(board(), noble, offers("noble", *ALL)).suite == "noble"


def test_a_suite_of_boards_yml_is_taken_without_a_question() -> None:
    assert offer_for(board(reef_suite="trixie-testing"), facts_of(), offers("trixie", "trixie-testing")).suite == (
        "trixie-testing"
    )


@pytest.mark.parametrize(("facts", "published", "text", "fix"), [
    (facts_of(**PI_OS_12), ("buster", "trixie"), "nothing is published for Debian GNU/Linux 12 (bookworm)",
     "--target bookworm/arm64 publish-apt"),
    (facts_of(**MENDEL), ("trixie",), "nothing is published for Mendel GNU/Linux 5 (Eagle)",
     "--target buster/arm64 publish-apt"),
    (ubuntu("24.04.3", "noble", "2.39", "255"), (), "nothing is published for Ubuntu 24.04.3 LTS",
     "--target bookworm/arm64 publish-apt"),
    (ubuntu("18.04.6", "bionic", "2.27", "237"), ALL, "no suite fits Ubuntu 18.04.6 LTS", "not older than Debian 10"),
    (facts_of(**RASPBIAN_12), (), "nothing is published for Raspbian GNU/Linux 12 (bookworm)",
     "--target bookworm/armhf publish-apt"),
    (facts_of(os_name="", os_codename="", glibc="", systemd=""), ALL, "no suite fits an unknown system", "reef_suite"),
])  # fmt: skip
def test_a_system_without_a_suite_is_refused_with_the_command_that_publishes_one(
    facts: BoardFacts, published: tuple[str, ...], text: str, fix: str
) -> None:
    with pytest.raises(BoardError) as caught:
        offer_for(board(), facts, offers(*published))
    assert text in caught.value.what
    assert fix in caught.value.fix


def test_a_suite_without_the_cpu_is_refused() -> None:
    with pytest.raises(BoardError, match="bookworm has no packages for armhf") as caught:
        offer_for(board(), facts_of(**RASPBIAN_12), offers("bookworm", architectures=("arm64", "all")))
    assert "--target bookworm/armhf publish-apt" in caught.value.fix


def test_packages_for_every_cpu_need_no_others_of_the_suite() -> None:
    found = offer_for(
        board(reef_packages=["demo"]), facts_of(**RASPBIAN_12), offers("bookworm", architectures=("all",))
    )
    assert found.versions("armhf") == {"demo": ("1.0-1",)}


def test_a_dev_board_with_mendel_has_no_obstacle() -> None:
    assert not findings(facts_of(**MENDEL))


def test_a_pi_5_is_told_by_its_pages() -> None:
    facts = facts_of(page_size="16384", model="Raspberry Pi 5 Model B Rev 1.0", kernel="6.12.25+rpt-rpi-2712")
    assert not errors(facts)
    assert notes(facts) == ["memory pages of 16 KiB"]


@pytest.mark.parametrize("machine", ["aarch64", "armv7l"])
def test_a_32_bit_pi_os_takes_armhf_packages_on_either_kernel(machine: str) -> None:
    facts = facts_of(**RASPBIAN_12, machine=machine)
    assert not errors(facts)
    assert ("a 32-bit system on a 64-bit kernel: it takes armhf packages" in notes(facts)) == (machine == "aarch64")
    assert offer_for(board(), facts, offers("bookworm")).versions(facts.architecture) == {"demo": ("1.0-1",)}


@pytest.mark.parametrize(("values", "error"), [
    (RASPBIAN_12 | {"machine": "armv6l", "model": "Raspberry Pi Zero W Rev 1.1"},
     "its CPU is armv6l; armhf packages need ARMv7: use a Raspberry Pi 2 or later"),
    ({"architecture": "armel", "machine": "armv5tel"}, "its packages are for armel: Reef builds for amd64, arm64"),
    ({"architecture": "i386", "machine": "x86_64"}, "its packages are for i386"),
    ({"architecture": ""}, "its packages are for an unknown CPU"),
    ({"root": "overlay rw,lowerdir=/lower"}, "its root is an overlay (overlay): what is installed vanishes"),
    ({"root": "tmpfs rw"}, "its root is an overlay (tmpfs)"),
    ({"root": "ext4 ro,noatime"}, "/ is mounted read-only: sudo mount -o remount,rw /"),
    ({"root": "squashfs ro"}, "/ is mounted read-only"),
    ({"usr": "ext4 ro,relatime"}, "/usr is mounted read-only: sudo mount -o remount,rw /usr"),
    ({"apt": "1.0.9.8"}, "its apt is 1.0.9.8: install Debian 10 or later"),
    ({"apt": ""}, "its apt is missing"),
])  # fmt: skip
def test_an_obstacle_has_its_fix(values: dict[str, str], error: str) -> None:
    found = errors(facts_of(**values))
    assert len(found) == 1
    assert found[0].startswith(error)


def test_a_read_write_root_is_not_taken_for_a_read_only_one() -> None:
    assert not errors(facts_of(root="ext4 rw,errors=remount-ro,prodev", usr="btrfs rw,compress=zstd:3"))
