"""Who hears of a run's end, in which words; and what is remembered between runs."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from prometheus_client.parser import text_string_to_metric_families

from orchestrator.core.notifications import FIELDS, unknown_field
from orchestrator.core.policy import ExitCode
from orchestrator.core.settings import NotificationTarget, NotifyOn, Outcome, Template
from orchestrator.errors import TransportError
from orchestrator.notify import metrics
from orchestrator.notify.messages import fields_of, payload, text_of
from orchestrator.notify.outcomes import (
    Ending,
    Past,
    by_name,
    file_of,
    outcome_of,
    read_past,
    replace_file,
    wanted,
    write_past,
)
from orchestrator.notify.sending import TRIES, Delivery, notify, ping, ping_suffix

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 3, 1, 6, 30, tzinfo=UTC)
WINDOW = {"start": "2026-02-01T00:00:00Z", "end": "2026-02-03T00:00:00Z"}
SUMMARY: dict[str, Any] = {
    "jobs": ["nightly", 'a "b"\\'],
    "seconds": 12.5,
    "requests": 30,
    "collected": {"reports": 4, "rows": 1200, "bytes": 5000},
    "in_all": {"reports": 40, "rows": 12000, "bytes": 50000},
    "price": {"collected": "0.06", "in_all": "0.6", "currency": "EUR"},
    "unsettled": [
        {
            "job": "nightly",
            "owed": [WINDOW],
            "open": {"submitted": 2, "held": 1},
            "given_up": [WINDOW],
            "disputed": [{"report": 7}],
        }
    ],
    "needs_person": True,
    "unfinished": True,
    "why": ["1 report disputed", "1 window given up"],
}


def ending(code: ExitCode = ExitCode.FINDINGS, **changes: Any) -> Ending:
    return Ending(code, NOW, {**SUMMARY, **changes}, ("Collected <4> reports & more.", "Not done."))


def target(*on: NotifyOn, **rest: Any) -> NotificationTarget:
    return NotificationTarget(on or (NotifyOn.ALWAYS,), **rest)


# --- who hears ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        (ExitCode.DONE, Outcome.SUCCESS),
        (ExitCode.FINDINGS, Outcome.FAILURE),
        (ExitCode.BAD_INPUT, Outcome.FAILURE),
        (ExitCode.LOCKED, Outcome.FAILURE),
        (ExitCode.BUG, Outcome.FAILURE),
        (ExitCode.DISK, Outcome.FAILURE),
        (ExitCode.UNFINISHED, Outcome.UNFINISHED),
        (ExitCode.INTERRUPTED, Outcome.UNFINISHED),
        (ExitCode.TERMINATED, Outcome.UNFINISHED),
    ],
)
def test_every_exit_code_is_an_outcome(code: ExitCode, outcome: Outcome) -> None:
    assert outcome_of(code) is outcome


@pytest.mark.parametrize(
    ("on", "code", "before", "hears"),
    [
        (NotifyOn.ALWAYS, ExitCode.DONE, None, True),
        (NotifyOn.SUCCESS, ExitCode.DONE, None, True),
        (NotifyOn.SUCCESS, ExitCode.UNFINISHED, None, False),
        (NotifyOn.UNFINISHED, ExitCode.UNFINISHED, None, True),
        (NotifyOn.FAILURE, ExitCode.LOCKED, None, True),
        (NotifyOn.FAILURE, ExitCode.DONE, Outcome.FAILURE, False),
        (NotifyOn.CHANGED, ExitCode.DONE, None, False),
        (NotifyOn.CHANGED, ExitCode.DONE, Outcome.SUCCESS, False),
        (NotifyOn.CHANGED, ExitCode.DONE, Outcome.FAILURE, True),
        (NotifyOn.CHANGED, ExitCode.DISK, Outcome.SUCCESS, True),
        (NotifyOn.CHANGED, ExitCode.DISK, None, True),
        (NotifyOn.CHANGED, ExitCode.DISK, Outcome.FAILURE, False),
        (NotifyOn.CHANGED, ExitCode.UNFINISHED, Outcome.FAILURE, False),
    ],
)
def test_who_hears_of_an_ending(
    on: NotifyOn, code: ExitCode, before: Outcome | None, *, hears: bool
) -> None:
    targets = by_name([target(on)])
    assert wanted(targets, ending(code), Past(before)) == (targets if hears else {})


def test_an_unfinished_run_between_failures_is_no_recovery() -> None:
    past = Past()
    told = []
    for code in (ExitCode.DONE, ExitCode.DISK, ExitCode.UNFINISHED, ExitCode.DISK, ExitCode.DONE):
        told.append(bool(wanted(by_name([target(NotifyOn.CHANGED)]), ending(code), past)))
        past = past.after(ending(code))
    assert told == [False, True, False, False, True]


def test_who_could_not_be_told_of_a_change_hears_of_it_the_next_time() -> None:
    past = Past(Outcome.SUCCESS)
    targets = by_name([target(NotifyOn.CHANGED), target(NotifyOn.CHANGED)])
    told = []
    for code, untold in (
        (ExitCode.DISK, ["notify[1]"]),
        (ExitCode.UNFINISHED, []),
        (ExitCode.DISK, ["notify[1]"]),
        (ExitCode.DISK, []),
        (ExitCode.DISK, []),
        (ExitCode.DONE, ["notify[0]"]),
        (ExitCode.DISK, []),
    ):
        told.append(list(wanted(targets, ending(code), past)))
        past = past.after(ending(code), untold)
    assert told == [
        ["notify[0]", "notify[1]"],
        [],
        ["notify[1]"],
        ["notify[1]"],
        [],
        ["notify[0]", "notify[1]"],
        ["notify[1]"],
    ]


def test_the_past_is_remembered_beside_the_ledger(tmp_path: Path) -> None:
    state = tmp_path / "ledger.db"
    assert read_past(state) == Past()
    untold = {"notify[0]": Outcome.SUCCESS, "notify[1]": None}
    past = Past(Outcome.FAILURE, NOW, untold)
    write_past(state, past)
    assert read_past(state) == past
    assert file_of(state).stat().st_mode & 0o777 == 0o600
    for broken in ("", "[]", '{"outcome": "x", "last_success": null}', '{"outcome": null}'):
        file_of(state).write_text(broken)
        assert read_past(state) == Past()
    assert [path.name for path in tmp_path.iterdir()] == [file_of(state).name]


def test_a_small_file_follows_no_link(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("untouched")
    (tmp_path / "file").symlink_to("victim")
    replace_file(tmp_path / "file", "new", 0o644)
    assert (tmp_path / "victim").read_text() == "untouched"
    assert (tmp_path / "file").read_text() == "new"
    assert not (tmp_path / "file").is_symlink()


# --- the words ------------------------------------------------------------------------------------


def test_own_words_may_name_every_field() -> None:
    text = " ".join(f"{name}={{{name}}}" for name in FIELDS)
    assert unknown_field(text) is None
    words = text_of(target(text=text), ending())
    for expected in ("outcome=failure", "exit_code=1", "records=1200", "needs_person=yes"):
        assert expected in words
    assert "why=1 report disputed; 1 window given up" in words
    assert set(fields_of(ending())) == set(FIELDS)


@pytest.mark.parametrize(
    "text", ["{secret}", "{jobs.__class__}", "{jobs!r}", "{seconds:9999}", "{}"]
)
def test_what_is_no_field_is_named(text: str) -> None:
    assert unknown_field(text) is not None


def test_the_json_is_the_summary_and_the_outcome() -> None:
    assert payload(target(), ending()) == {"outcome": "failure", **SUMMARY}
    assert payload(target(text="{jobs}!"), ending())["text"] == 'nightly, a "b"\\!'


def test_slack_reads_nothing_of_it_as_its_own() -> None:
    text = payload(target(template=Template.SLACK), ending())["text"]
    assert text.endswith(
        ": needs you (exit code 1)\nCollected &lt;4&gt; reports &amp; more.\nNot done."
    )


def test_teams_gets_a_card() -> None:
    card = payload(target(template=Template.TEAMS, text="a\nb"), ending())
    body = card["attachments"][0]["content"]["body"]
    assert [block["text"] for block in body] == ["a", "b"]


def test_a_message_is_as_long_as_every_receiver_takes() -> None:
    assert len(text_of(target(text="{jobs}"), ending(jobs=["x" * 9000]))) == 3000


def test_a_run_that_did_not_begin_is_told_too() -> None:
    told = {"exit_code": 2, "why": ["no such job"]}
    early = Ending(ExitCode.BAD_INPUT, NOW, told, ("error: x",))
    assert fields_of(early)["why"] == "no such job"
    assert payload(target(), early) == {"outcome": "failure", **told}
    assert "orchestrator_last_run_exit_code 2" in metrics.text_of(early, Past())


# --- sending --------------------------------------------------------------------------------------


class Receiver:
    """Answers each POST with the next of its answers: a status, or an error to raise."""

    def __init__(self, *answers: int | Exception) -> None:
        self.answers = list(answers)
        self.got: list[tuple[str, Any]] = []

    async def post(self, url: str, content: dict[str, Any] | None) -> int:
        self.got.append((url, content))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


URL = "https://hooks.example/secret-path"
HOOK = Delivery("notify[0]", target(webhook=None), URL)


@pytest.mark.parametrize(
    ("answers", "problem"),
    [
        ((204,), ""),
        ((500, 503, 200), ""),
        ((TransportError("x", maybe_sent=True), 200), ""),
        ((302, 404, 410), "HTTP 410"),
        ((500, 500, TransportError(URL, maybe_sent=True)), "no connection"),
    ],
)
@pytest.mark.virtual
async def test_a_webhook_is_tried_three_times(
    answers: tuple[int | Exception, ...], problem: str
) -> None:
    receiver = Receiver(*answers)
    problems: dict[str, str] = {}
    await notify(receiver.post, [HOOK], ending(), problems)
    assert problems == ({"notify[0]": problem} if problem else {})
    assert receiver.got == [(URL, payload(HOOK.target, ending()))] * min(TRIES, len(answers))
    assert "secret" not in str(problems)


async def test_an_address_in_clear_is_not_asked() -> None:
    receiver = Receiver()
    problems: dict[str, str] = {}
    delivery = Delivery("notify[0]", target(), "http://h/")
    await notify(receiver.post, [delivery], ending(), problems)
    assert problems == {"notify[0]": "its address is neither https nor on this machine"}
    assert receiver.got == []


@pytest.mark.parametrize(
    ("outcome", "path"),
    [(Outcome.SUCCESS, "/p/1"), (Outcome.UNFINISHED, "/p/1/log"), (Outcome.FAILURE, "/p/1/fail")],
)
@pytest.mark.virtual
async def test_a_ping_says_in_its_path_how_a_run_ended(outcome: Outcome, path: str) -> None:
    receiver = Receiver(200)
    url = "https://ping.example/p/1/?x=1"
    assert await ping(receiver.post, url, ping_suffix(outcome)) is None
    assert receiver.got == [(f"https://ping.example{path}?x=1", None)]


def command(script: str) -> Delivery:
    return Delivery("notify[1]", target(command=(sys.executable, "-c", script)))


async def test_a_command_gets_the_summary_on_its_standard_input(tmp_path: Path) -> None:
    out = tmp_path / "out"
    script = f"import sys; open({str(out)!r}, 'w').write(sys.stdin.read())"
    problems: dict[str, str] = {}
    await notify(Receiver().post, [command(script)], ending(), problems)
    assert problems == {}
    assert json.loads(out.read_text()) == {"outcome": "failure", **SUMMARY}


@pytest.mark.parametrize(
    ("delivery", "problem"),
    [
        (command("raise SystemExit(3)"), "ended with 3"),
        (command("import sys; sys.stdin.close()"), ""),
        (Delivery("n", target(command=("/no/such",))), "/no/such cannot be run (No such file"),
    ],
    ids=["fails", "does not read", "is not there"],
)
async def test_a_command_that_fails_is_a_warning(delivery: Delivery, problem: str) -> None:
    problems: dict[str, str] = {}
    await notify(Receiver().post, [delivery], ending(), problems)
    assert [problem in each for each in problems.values()] == ([True] if problem else [])


@pytest.mark.parametrize(
    "script",
    ["(sleep 3; touch {}) & wait", "exec 3<&0; (sleep 3; touch {}) <&3 & exit 0"],
    ids=["waits for it", "leaves it its input"],
)
async def test_a_command_that_does_not_end_is_killed_with_its_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    monkeypatch.setattr("orchestrator.notify.sending._COMMAND_SECONDS", 0.5)
    out = tmp_path / "late"
    delivery = Delivery("n", target(command=("sh", "-c", script.format(out))))
    problems: dict[str, str] = {}
    more_than_a_pipe_holds = ending(jobs=["n" * 500_000])
    await notify(Receiver().post, [delivery], more_than_a_pipe_holds, problems)
    assert problems["n"].startswith("sh was killed: it took longer than")
    await anyio.sleep(3.5)
    assert not out.exists()


# --- metrics --------------------------------------------------------------------------------------


def samples(text: str) -> dict[tuple[str, str], float]:
    return {
        (sample.name.removeprefix("orchestrator_"), ",".join(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_prometheus_reads_the_metrics() -> None:
    past = Past(Outcome.FAILURE, NOW - timedelta(days=1))
    found = samples(metrics.text_of(ending(), past))
    assert found["last_success_timestamp_seconds", ""] == (NOW - timedelta(days=1)).timestamp()
    assert found["last_run_exit_code", ""] == 1
    assert found["last_run_collected_records", ""] == 1200
    assert found["last_run_price", "EUR"] == 0.06
    assert found["collected_price", "EUR"] == 0.6
    assert found["owed_seconds", "nightly"] == 2 * 86400
    assert found["owed_seconds", 'a "b"\\'] == 0
    assert (
        found["oldest_owed_timestamp_seconds", "nightly"]
        == datetime(2026, 2, 1, tzinfo=UTC).timestamp()
    )
    assert found["reports", "nightly,held"] == 1
    assert found["reports", "nightly,disputed"] == 1
    assert found["windows_given_up", "nightly"] == 1
    assert {name for name, _ in found} <= {
        name.removeprefix("orchestrator_") for name in metrics.names()
    }
