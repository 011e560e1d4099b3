"""What clients say of a publication, now and later: this machine's apt, and the job for clean roots."""

import pytest

from builders.apt.verify import clients
from builders.apt.verify.clients import TODAY, Outlook, Trial
from builders.errors import PublishError

DAY = 86400


def test_verdicts_against_the_outlook() -> None:
    seen = [Outlook(TODAY, 1000, "")]
    good = [Trial("apt", TODAY, 0, True, ""), Trial("apt", TODAY, 2000, False, "x"), Trial("apt", "old", 0, False, "")]
    clients.require_accepted(good, seen, "trixie", 0.0)
    for bad in (Trial("apt", TODAY, 0, False, "why"), Trial("apt", TODAY, 2000, True, ""),
                Trial("apt", "download", 0, False, "")):  # fmt: skip
        with pytest.raises(PublishError, match=r"apt (refuses|accepts what)"):
            clients.require_accepted([*good, bad], seen, "trixie", 0.0)


def test_sqv_judges_a_key_on_the_day_of_the_signature() -> None:
    late = [Trial("apt 3.0.3 (sqv)", TODAY, 2000, True, ""), Trial("apt 2.6.1 (gpgv)", TODAY, 2000, False, "")]
    clients.require_accepted(late, [Outlook(TODAY, 1000, "")], "trixie", 0.0)
    with pytest.raises(PublishError, match="accepts what it should refuse"):  # but Valid-Until binds every client
        clients.require_accepted(late, [Outlook(TODAY, 1000, "", by_key=False)], "trixie", 0.0)
    with pytest.raises(PublishError, match="refuses"):
        clients.require_accepted([Trial("apt 3.0.3 (sqv)", TODAY, 0, False, "")], [Outlook(TODAY, 9, "")], "x", 0.0)


@pytest.mark.parametrize("until", [None, 40 * DAY, 2, -5])
def test_days_to_try(until: int | None) -> None:
    days = clients.offsets([Outlook(TODAY, until, "")], 0.0)
    assert days[0] == 0
    assert days == sorted(set(days))
    assert until is None or until < 0 or days[-1] == until + DAY
