"""`status`: the numbers, every report that is not collected in words, and what to do."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.cli.main import call
from orchestrator.core import lifecycle
from orchestrator.core.lifecycle import State
from orchestrator.core.model import Series
from tests.kit.home import enter, write_job
from tests.kit.ledgers import Book, book, day, every_state, span

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SMS = Series.of("abcd1234", "SMS", "outbound")
VERIFY = Series.of("abcd1234", "VERIFY-API")
JOB = "accounts: [abcd1234]\nproducts: [VERIFY-API]\nwindows: [yesterday]\n"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, and no credentials."""
    return enter(tmp_path, monkeypatch)


@pytest.fixture
def ledger(home: Path) -> Iterator[Book]:
    """A ledger that is written when the test closes it with `done`, at the latest at its end."""
    with book(home / "state/ledger.db", home / "reports", day("2026-02-01T06:00")) as made:
        yield made


def done(ledger: Book) -> None:
    ledger.store.db.execute("COMMIT")
    ledger.store.db.execute("BEGIN")


def status(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert call(["status", *arguments]) == 0
    return capsys.readouterr().out


def status_json(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    return json.loads(status(capsys, *arguments, "--json"))


def test_before_the_first_run_there_is_nothing(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status(capsys) == (f"nothing has been asked for yet (ledger {home}/state/ledger.db)\n")
    assert list(home.iterdir()) == []


def test_numbers_first_then_each_report_with_what_to_do(
    ledger: Book, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger.collected(VERIFY, span("2025-12-01", "2026-01-01"), b"a\n1\n2\n")
    ledger.collected(VERIFY, span("2026-01-01", "2026-01-10"), b"a\n3\n")
    failed = ledger.submitted(VERIFY, span("2026-01-10", "2026-01-20"))
    ledger.given_up(failed, lifecycle.Failed("the API says FAILED"), "the API says FAILED")
    ledger.submitted(SMS, span("2026-01-01", "2026-01-02"))
    done(ledger)
    assert status(capsys) == (
        "ACCOUNT   PRODUCT     DIRECTION  FILTER  COLLECTED  RECORDS  SIZE  OTHER REPORTS\n"
        "abcd1234  VERIFY-API  any        all             2        3  10 B  1 failed\n"
        "abcd1234  SMS         outbound   all             0        0   0 B  1 submitted\n"
        "\n"
        "in all: 2 reports collected with 3 records, 10 B; 1 open; 1 given up\n"
        "\n"
        "report 3: abcd1234 VERIFY-API, 2026-01-10 to 2026-01-20: failed since "
        "2026-02-01 15:00 UTC\n"
        "  failed at the API: the API says FAILED\n"
        "  given up: `orchestrator resolve 3 --waive` skips its period, `orchestrator resolve 3 "
        "--resubmit` buys it again; `orchestrator run JOB --retry-failed` asks again for all that "
        "was given up\n"
        "\n"
        "report 4: abcd1234 SMS outbound, 2026-01-01 to 2026-01-02: submitted since "
        "2026-02-01 07:00 UTC\n"
        f"  not finished at the API, as {'id-' + SMS.key[:6]}-20260101\n"
        "  `orchestrator run JOB` goes on waiting for it\n"
    )


def test_a_job_limits_it_to_its_series(
    home: Path, ledger: Book, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger.submitted(SMS, span("2026-01-01", "2026-01-02"))
    done(ledger)
    first, rest = status(capsys, write_job(home, JOB)).split("\n", 1)
    assert first.startswith("nightly: not everything before ")
    assert rest == (
        "\nACCOUNT   PRODUCT     DIRECTION  FILTER  COLLECTED  RECORDS  SIZE  OTHER REPORTS\n"
        "abcd1234  VERIFY-API  any        all             0        0   0 B\n"
        "\n"
        "in all: 0 reports collected with 0 records, 0 B\n"
    )


@pytest.mark.parametrize(
    ("options", "states"),
    [
        ([], set(State) - {State.COLLECTED, State.SUPERSEDED}),
        (["--held"], {State.HELD}),
        (["--open"], {State.SUBMITTING, State.SUBMITTED, State.READY, State.VERIFIED}),
        (
            ["--failed"],
            {
                State.ABSENT,
                State.DISPUTED,
                State.TRUNCATED,
                State.FAILED,
                State.ABORTED,
                State.EXPIRED,
                State.LOST,
            },
        ),
    ],
    ids=["all", "held", "open", "failed"],
)
def test_options_choose_which_reports_are_listed(
    options: list[str],
    states: set[State],
    ledger: Book,
    capsys: pytest.CaptureFixture[str],
) -> None:
    reports = every_state(ledger, SMS)
    done(ledger)
    lines = status(capsys, *options).splitlines()
    listed = {int(line.split()[1].rstrip(":")) for line in lines if line.startswith("report ")}
    assert listed == {reports[state].id for state in states}


def test_the_total_says_what_is_still_to_be_done_of_the_others(
    ledger: Book, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only what a run or a person must do is counted as such: the rest is history."""
    every_state(ledger, SMS)
    failed = ledger.submitted(VERIFY, span("2026-01-10", "2026-01-20"))
    ledger.given_up(failed, lifecycle.Failed("the API says FAILED"), "the API says FAILED")
    for _ in range(3):
        ledger.report(VERIFY, span("2026-01-01", "2026-01-05"), lifecycle.NotCreated("HTTP 429"))
    done(ledger)
    (total,) = [line for line in status(capsys).splitlines() if line.startswith("in all: ")]
    assert total == (
        "in all: 1 report collected with 5 records, 100 B; 4 open; 1 held; 1 disputed; 1 given up; "
        "9 failed, will be retried; 1 skipped; 1 erased on purpose; 1 replaced by a newer edition; "
        "2 failed earlier, already replaced"
    )


BOTH = (
    "accounts: [abcd1234]\nproducts: [VERIFY-API, {product: SMS, direction: outbound}]\n"
    "windows: [{from: 2026-01-01, to: 2026-02-01}]\n"
)


def first_lines(home: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """How far the job has got: what stands before the first empty line."""
    text = status(capsys, write_job(home, BOTH)).partition("\n\n")[0]
    return re.sub(r"before \d{4}-\d\d-\d\d is", "before TODAY is", text)


def test_it_says_first_that_everything_is_collected(
    home: Path, ledger: Book, capsys: pytest.CaptureFixture[str]
) -> None:
    for series in (VERIFY, SMS):
        ledger.collected(series, span("2026-01-01", "2026-02-01"), b"a\n1\n")
    done(ledger)
    assert first_lines(home, capsys) == "nightly: everything before TODAY is collected"


def test_it_says_first_what_is_missing_and_what_is_open(
    home: Path, ledger: Book, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger.collected(VERIFY, span("2026-01-01", "2026-01-20"), b"a\n1\n")
    ledger.submitted(SMS, span("2026-01-01", "2026-02-01"))
    done(ledger)
    assert first_lines(home, capsys) == (
        "nightly: not everything before TODAY is collected: 1 of 2 series still missing, from "
        "2026-01-20 on, 1 report open"
    )


def test_programs_get_how_far_each_job_has_got(
    home: Path, ledger: Book, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger.collected(VERIFY, span("2026-01-01", "2026-01-20"), b"a\n1\n")
    ledger.submitted(SMS, span("2026-01-01", "2026-02-01"))
    done(ledger)
    job = write_job(home, BOTH)
    answer = status_json(capsys, job)
    (nightly,) = answer["jobs"]
    assert nightly.pop("until") < answer["now"]
    assert nightly == {
        "job": "nightly",
        "complete": False,
        "series": 2,
        "missing": 1,
        "since": "2026-01-20T00:00:00Z",
        "open": 1,
        "held": 0,
        "disputed": 0,
        "given_up": 0,
        "waived": 0,
        "erased": 0,
    }
    assert status_json(capsys)["jobs"] == []
    assert status_json(capsys, job, "--open")["jobs"] == []


def test_it_says_first_what_needs_a_person(
    home: Path, ledger: Book, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger.collected(SMS, span("2026-01-01", "2026-02-01"), b"a\n1\n")
    ledger.collected(VERIFY, span("2026-01-01", "2026-01-10"), b"a\n1\n")
    failed = ledger.submitted(VERIFY, span("2026-01-10", "2026-02-01"))
    ledger.given_up(failed, lifecycle.Failed("the API says FAILED"), "the API says FAILED")
    done(ledger)
    assert first_lines(home, capsys) == (
        "nightly: not everything before TODAY is collected\n"
        "  needs you: 1 given up: `orchestrator status nightly.yaml --failed`"
    )


def test_options_add_up(ledger: Book, capsys: pytest.CaptureFixture[str]) -> None:
    every_state(ledger, SMS)
    done(ledger)
    listed = status_json(capsys, "--open", "--held")["reports"]
    assert {report["state"] for report in listed} == {
        "submitting",
        "submitted",
        "ready",
        "verified",
        "held",
    }


def test_programs_get_every_state_and_every_report(
    ledger: Book, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reports = every_state(ledger, SMS)
    done(ledger)
    answer = status_json(capsys)
    assert answer["ledger"] == f"{home}/state/ledger.db"
    (series,) = answer["series"]
    assert list(series["states"]) == [state.value for state in State]
    assert series["states"]["collected"] == {"reports": 1, "rows": 5, "size_bytes": 100}
    by_state = {report["state"]: report for report in answer["reports"]}
    assert by_state.keys() == {state.value for state in State} - {"collected"}
    held = by_state["held"]
    assert held == {
        "report": reports[State.HELD].id,
        "account_id": "abcd1234",
        "product": "SMS",
        "direction": "outbound",
        "filter": {},
        "start": "2020-09-01T00:00:00Z",
        "end": "2020-09-15T00:00:00Z",
        "state": "held",
        "request_id": None,
        "api_key": "abcd1234",
        "job": "job",
        "intended_at": "2026-02-01T06:00:00Z",
        "submitted_at": None,
        "ready_at": None,
        "expires_at": None,
        "changed_at": "2026-02-01T07:00:00Z",
        "items_count": None,
        "reason": "the list proves nothing",
        "window_is": None,
        "what": (
            "we asked for it and could not find out whether the API accepted it: the list proves "
            "nothing"
        ),
        "then": held["then"],
    }
    assert by_state["lost"]["window_is"] == "owed"


def test_what_was_asked_for_again_is_history(
    ledger: Book, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger.report(SMS, span("2026-01-01", "2026-01-31"), lifecycle.NotCreated("HTTP 429"))
    ledger.collected(SMS, span("2026-01-01", "2026-01-16"), b"a\n1\n")
    done(ledger)
    text = status(capsys)
    assert "report 1" not in text
    assert text.endswith(
        "in all: 1 report collected with 1 record, 4 B; 1 failed earlier, already replaced\n"
    )
    (absent,) = status_json(capsys)["reports"]
    assert absent["window_is"] == "again"


def test_of_attempts_that_were_all_refused_the_last_is_told(
    ledger: Book, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(3):
        ledger.report(SMS, span("2026-01-01", "2026-01-31"), lifecycle.NotCreated("HTTP 403"))
    done(ledger)
    lines = [line for line in status(capsys).splitlines() if line.startswith("report ")]
    assert [line[:9] for line in lines] == ["report 3:"]


def test_a_window_that_was_waived_is_told_as_decided(
    ledger: Book, capsys: pytest.CaptureFixture[str]
) -> None:
    lost = ledger.submitted(SMS, span("2026-01-01", "2026-01-02"))
    lost = ledger.given_up(lost, lifecycle.Lost("404"), "404")
    ledger.store.acknowledge(lost)
    done(ledger)
    assert (
        "  skipped, as you decided; `orchestrator resolve 1 --resubmit` asks for it after all"
        in status(capsys, "--failed")
    )
    (given_up,) = status_json(capsys)["given_up"]
    assert given_up == {
        "account_id": "abcd1234",
        "product": "SMS",
        "direction": "outbound",
        "filter": {},
        "start": "2026-01-01T00:00:00Z",
        "end": "2026-01-02T00:00:00Z",
        "report": 1,
        "reason": "404",
        "at": "2026-02-01T15:00:00Z",
        "waived": True,
    }


def test_a_window_given_up_without_a_report_is_told_too(
    ledger: Book, capsys: pytest.CaptureFixture[str]
) -> None:
    window = span("2026-01-01", "2026-01-02")
    ledger.store.give_up(SMS, window, "HTTP 422", report_id=None, at=ledger.at)
    done(ledger)
    assert status(capsys).endswith(
        "\n\nabcd1234 SMS outbound, 2026-01-01 to 2026-01-02: given up at 2026-02-01 06:00 UTC\n"
        "  HTTP 422\n"
        "  `orchestrator run JOB --retry-failed` asks for it again\n"
    )


def test_many_of_one_cause_are_one_entry_until_they_are_asked_for(
    ledger: Book, capsys: pytest.CaptureFixture[str]
) -> None:
    for month in range(1, 8):
        window = span(f"2025-{month:02}-01", f"2025-{month:02}-15")
        ledger.submitted(SMS, window, lifecycle.Disputed(f"the CSV holds {month} records"))
    ledger.submitted(SMS, span("2025-09-01", "2025-09-15"), lifecycle.Disputed("a wrong echo"))
    done(ledger)
    entries = status(capsys).split("\n\n")[2:]
    assert entries[0] == (
        "7 reports of one cause, disputed: 1, 2, 3, 4, 5 and 2 more; such as report 1: abcd1234 SMS"
        " outbound, 2025-01-01 to 2025-01-15\n"
        "  what came back is not what was asked for: the CSV holds 1 records\n"
        "  it waits for you: no file of it is kept; `orchestrator resolve 1 --refetch` has it "
        "fetched again (free), `orchestrator resolve 1 --waive` skips its period, `orchestrator "
        "resolve 1 --resubmit` buys it again, and pays again\n"
        "  `orchestrator status JOB --long` lists each of them"
    )
    assert entries[1].startswith("report 8: ")
    assert len(entries) == 2
    assert len(status(capsys, "--failed").split("\n\n")) == 2
    assert len(status(capsys, "--failed", "--long").split("\n\n")) == 8


def test_many_windows_without_a_report_are_counted(
    ledger: Book, capsys: pytest.CaptureFixture[str]
) -> None:
    for month in range(1, 8):
        window, reason = (
            span(f"2025-{month:02}-01", f"2025-{month:02}-15"),
            f"HTTP 422: {month} days",
        )
        ledger.store.give_up(SMS, window, reason, report_id=None, at=ledger.at)
    done(ledger)
    entries = status(capsys, "--failed").split("\n\n")
    assert len(entries) == 4
    assert entries[-1] == "4 more windows given up, as: HTTP 422: 1 days\n"
    assert len(status(capsys, "--failed", "--long").split("\n\n")) == 7


def test_it_says_first_that_windows_are_skipped(
    home: Path, ledger: Book, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger.collected(SMS, span("2026-01-01", "2026-02-01"), b"a\n1\n")
    ledger.collected(VERIFY, span("2026-01-01", "2026-01-10"), b"a\n1\n")
    lost = ledger.submitted(VERIFY, span("2026-01-10", "2026-01-20"))
    ledger.store.acknowledge(ledger.given_up(lost, lifecycle.Lost("404"), "404"))
    ledger.submitted(
        VERIFY, span("2026-01-20", "2026-02-01"), lifecycle.Disputed("echo"), lifecycle.Waived("me")
    )
    elsewhere = ledger.submitted(VERIFY, span("2025-01-10", "2025-01-20"))
    ledger.store.acknowledge(ledger.given_up(elsewhere, lifecycle.Lost("404"), "404"))
    done(ledger)
    assert first_lines(home, capsys) == (
        "nightly: everything before TODAY is collected, but for 2 windows skipped as you decided"
    )


def test_a_job_with_filters_fits_a_narrow_terminal(
    ledger: Book, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    filters = {"status": "delivered", "provider": "whatsapp", "from": "441632960960"}
    series = Series.of("abcd1234", "MESSAGES", "outbound", filters)
    ledger.collected(series, span("2026-01-01", "2026-01-10"), b"a\n1\n")
    for first, event in ((11, lifecycle.Failed("x")), (12, lifecycle.Disputed("y"))):
        ledger.submitted(series, span(f"2026-01-{first}", f"2026-01-{first + 1}"), event)
    done(ledger)
    monkeypatch.setattr("orchestrator.cli.commands.status.terminal_width", lambda _: 80)
    table = status(capsys).partition("\n\n")[0].splitlines()
    assert max(map(len, table)) <= 80
    text = " ".join(" ".join(table).split())
    for word in ("status=delivered", "provider=whatsapp", "from=441632960960", "1 disputed"):
        assert word in text
