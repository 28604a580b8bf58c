"""Job files: every form that is taken, and every mistake at its place, all at once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from orchestrator.config.document import MAX_FINDINGS
from orchestrator.core.model import (
    AbsoluteWindow,
    CalendarWord,
    FieldValue,
    JobSeries,
    LastWindow,
    Series,
    Span,
    Unit,
)
from orchestrator.errors import InputError
from tests.kit.config_files import load_jobs
from tests.kit.job_files import job_text, read_job

SHIPPED = Path(__file__).parent.parent / "jobs"

UNITLESS = "is not a number of calendar units; write it as 7 days, 2 weeks or 3 months"


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_a_job_with_everything(tmp_path: Path) -> None:
    text = """\
name: nightly
credentials: main
timezone: Europe/London
accounts:
  - "00123456"
  - {id: ef567890, credentials: emea, include_subaccounts: true}
products:
  - VERIFY-API
  - {product: SMS, direction: [outbound, inbound], include_message: false, country: NO}
windows:
  - {from: 2025-07-01, to: 2026-02-01}
  - {from: 2026-03-01}
  - {last: 7 days}
  - last_week
chunk: {max: 2 weeks}
settle: 90m
callback_url: https://example.com/hook?job=1
"""
    job = read_job(tmp_path, text, credentials=["main", "emea"]).job
    assert job.name == "nightly"
    assert job.path == tmp_path / "job.yaml"
    assert job.zone.key == "Europe/London"
    assert job.chunk == Span(2, Unit.WEEKS)
    assert job.settle == timedelta(minutes=90)
    assert job.callback_url == "https://example.com/hook?job=1"
    assert job.windows == (
        AbsoluteWindow(utc("2025-06-30T23:00"), utc("2026-02-01T00:00")),
        AbsoluteWindow(utc("2026-03-01T00:00")),
        LastWindow(Span(7, Unit.DAYS)),
        CalendarWord.LAST_WEEK,
    )
    subaccounts: dict[str, FieldValue] = {"include_subaccounts": True}
    norway: dict[str, FieldValue] = {"include_message": False, "country": "NO"}
    assert job.series == (
        JobSeries(Series.of("00123456", "VERIFY-API"), "main"),
        JobSeries(Series.of("00123456", "SMS", "outbound", norway), "main"),
        JobSeries(Series.of("00123456", "SMS", "inbound", norway), "main"),
        JobSeries(Series.of("ef567890", "VERIFY-API", None, subaccounts), "emea"),
        JobSeries(Series.of("ef567890", "SMS", "outbound", norway | subaccounts), "emea"),
        JobSeries(Series.of("ef567890", "SMS", "inbound", norway | subaccounts), "emea"),
    )


def test_the_defaults_of_a_short_job(tmp_path: Path) -> None:
    job = read_job(tmp_path, job_text(), credentials=["default"]).job
    assert job.name == "job"
    assert job.zone.key == "UTC"
    assert job.series == (JobSeries(Series.of("abcd1234", "VERIFY-API"), "default"),)
    assert job.windows == (CalendarWord.YESTERDAY,)
    assert job.chunk == Span(1, Unit.MONTHS)
    assert job.settle == timedelta(hours=1)
    assert job.callback_url is None


def test_six_different_mistakes_are_told_at_once(tmp_path: Path) -> None:
    text = """\
name: nightly
timezone: Europe/Lodon
accounts:
  - abcd1234
  - ../../etc
products:
  - SMS
  - {product: VERIFY-API, direction: inbound}
windows:
  - {from: 2025-01-01, to: 2025-13-01}
chunck: {max: 1 month}
"""
    assert read_job(tmp_path, text).mistakes == [
        "job.yaml:2:11: timezone: Europe/Lodon is not a time zone; did you mean Europe/London?",
        (
            "job.yaml:5:5: accounts[1]: ../../etc is not an account id (8 letters or digits; this"
            " has 9 characters); copy it from the dashboard of the account"
        ),
        (
            "job.yaml:7:5: products[0]: SMS needs a direction; write {product: SMS, direction:"
            " [inbound, outbound]}, or one of the two"
        ),
        "job.yaml:8:27: products[1].direction: VERIFY-API takes no direction; remove it",
        "job.yaml:10:28: windows[0].to: 2025-13-01 is not a date (month 13); write 2026-01-01",
        "job.yaml:11:1: chunck: is not a key here; did you mean chunk?",
    ]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("timezone: 5\n", ("4:11: timezone: 5 is not a time zone; an offset is no time zone, since"
         " it knows no summer time; write the IANA name of a place in it, such as Europe/London or"
         " America/New_York")),
        ("title: nightly\n", ("4:1: title: is not a key here; the keys here are name, credentials,"
         " timezone, accounts, products, windows, chunk, settle, refetch and callback_url")),
        ("refetch: 91d\n", "4:10: refetch: 91d is out of bounds; write a duration from 1h to 90d"),
        (
            "refetch: 1h\n",
            (
                "4:10: refetch: 1h is not longer than settle (1h): all is older than that when it"
                " is asked for; write a longer one, or remove the key"
            ),
        ),
        ("settle: 31d\n", "4:9: settle: 31d is out of bounds; write a duration from 0s to 30d"),
        ("settle:\n", "4:8: settle: is empty; give it a value, or remove the key"),
        ("name: null\n", "4:7: name: is empty; give it a value, or remove the key"),
        ("name: a/b\n", ("4:7: name: a/b is not a name (letters, digits, and . _ - between them);"
         " write a-b")),
        ("chunk: 14 months\n", ("4:8: chunk: 14 months is more than one report may cover"
         " (13 months); write 13 months or less")),
        ("chunk: {max: 0 days}\n", ("4:14: chunk.max: 0 days is no time at all; write 1 day or"
         " more")),
        ("chunk: {min: 1 day}\n", ("4:9: chunk.min: is not a key here; the keys here are max and"
         " target_rows")),
        ("chunk: [1 day]\n", "4:8: chunk: is a list; write a single value"),
        ("chunk:\n", "4:7: chunk: is empty; give it a value, or remove the key"),
        ("callback_url: example.com\n", ("4:15: callback_url: example.com is not a web address;"
         " write one such as https://example.com/hook")),
        ("callback_url: https://u:hunter2@example.com/\n", ("4:15: callback_url: the address holds"
         " a user name or password; remove what stands before the @")),
        ("output: {directory: x}\n", ("4:1: output: is not a key here; it belongs in the config"
         " file")),
        ("acounts: [abcd1234]\n", "4:1: acounts: is not a key here; did you mean accounts?"),
        ("zzz: 1\n", ("4:1: zzz: is not a key here; the keys here are name, credentials, timezone,"
         " accounts, products, windows, chunk, settle, refetch and callback_url")),
        ('"a\\e[31m": 1\n', ("4:1: a\\x1b[31m: is not a key here; the keys here are name,"
         " credentials, timezone, accounts, products, windows, chunk, settle, refetch and"
         " callback_url")),
        ("settle: 1h\nsettle: 2h\n", ("5:1: settle: the key stands twice, first in line 4; keep one"
         " of them")),
        ("settle: {a: b}\n", "4:9: settle: is a mapping of keys; write a single value"),
    ],
)  # fmt: skip
def test_mistakes_at_the_top(tmp_path: Path, more: str, message: str) -> None:
    assert read_job(tmp_path, job_text(more=more)).mistakes == [f"job.yaml:{message}"]


@pytest.mark.parametrize(
    ("accounts", "messages"),
    [
        ("abcd1234", ["1:11: accounts: is not a list; write [one, two], or one `- entry` a line"]),
        ("[]", ["1:11: accounts: is an empty list; add an entry, such as [abcd1234]"]),
        ("", ["1:10: accounts: is empty; give it a value, or remove the key"]),
        ("[null]", ["1:12: accounts[0]: is empty; give it a value, or remove the key"]),
        ("[[abcd1234]]", ["1:12: accounts[0]: is a list; write a single value"]),
        ("[{credentials: emea}]", ["1:12: accounts[0]: id is missing; add id"]),
        ("[{id: }]", ["1:17: accounts[0].id: is empty; give it a value, or remove the key"]),
        (
            "[{id: abcd1234, include_subaccount: true}]",
            [
                ("1:27: accounts[0].include_subaccount: is not a key here;"
                " did you mean include_subaccounts?")
            ],
        ),
        (
            "[{id: abcd1234, include_subaccounts: yes}]",
            ["1:48: accounts[0].include_subaccounts: yes is neither true nor false; write true"],
        ),
        (
            "[abcd1234, ef567890, {id: abcd1234}]",
            [("1:37: accounts[2].id: account abcd1234 stands in line 1 already; remove one of the"
             " two")],
        ),
        (
            "[abc, {id: x/y}]",
            [
                ("1:12: accounts[0]: abc is not an account id (8 letters or digits; this has"
                " 3 characters); copy it from the dashboard of the account"),
                ("1:22: accounts[1].id: x/y is not an account id (8 letters or digits; this has"
                " 3 characters); copy it from the dashboard of the account"),
            ],
        ),
    ],
)  # fmt: skip
def test_mistakes_in_accounts(tmp_path: Path, accounts: str, messages: list[str]) -> None:
    found = read_job(tmp_path, job_text(accounts=accounts)).mistakes
    assert found == [f"job.yaml:{message}" for message in messages]


def test_what_must_be_there(tmp_path: Path) -> None:
    assert read_job(tmp_path, "name: x\n").mistakes == [
        "job.yaml:1:1: accounts is missing; add it, such as accounts: [abcd1234]",
        "job.yaml:1:1: products is missing; add it, such as products: [VERIFY-API]",
        "job.yaml:1:1: windows is missing; add it, such as windows: [yesterday]",
    ]


@pytest.mark.parametrize(
    ("windows", "messages"),
    [
        ("yesterday", ["3:10: windows: is not a list; write [one, two], or one `- entry` a line"]),
        ("[]", ["3:10: windows: is an empty list; add an entry, such as [yesterday]"]),
        ("[yesterdy]", [("3:11: windows[0]: yesterdy is not a calendar word; did you mean"
                        " yesterday?")]),
        ("[last week]", [("3:11: windows[0]: last week is not a calendar word; did you mean"
                         " last_week?")]),
        ("[last 7 days]", [("3:11: windows[0]: last 7 days is not a calendar word; write"
                           " {last: 7 days}")]),
        ("[last_7_days]", [("3:11: windows[0]: last_7_days is not a calendar word; write"
                           " {last: 7 days}")]),
        ("[last_year]", [("3:11: windows[0]: last_year is not a calendar word; write its dates,"
                         " such as {from: 2025-01-01, to: 2026-01-01}")]),
        ("[last_quarter]", [("3:11: windows[0]: last_quarter is not a calendar word; write its"
                            " dates, such as {from: 2025-01-01, to: 2025-04-01}")]),
        ("[previous year]", [("3:11: windows[0]: previous year is not a calendar word; write its"
                             " dates, such as {from: 2025-01-01, to: 2026-01-01}")]),
        ("[{from: 2025-02-01, to: 2025-02-30}]",
         [("3:34: windows[0].to: 2025-02-30 is not a date (day 30 of a month that has 28); write"
           " 2025-03-01")]),
        ("[2025-01-01]", [("3:11: windows[0]: 2025-01-01 stands alone; write {from: 2025-01-01, to:"
                          " 2025-01-02}")]),
        ("[2025-12]", [("3:11: windows[0]: 2025-12 stands alone; write {from: 2025-12-01, to:"
                       " 2026-01-01}")]),
        ("[2024]", [("3:11: windows[0]: 2024 stands alone; write {from: 2024-01-01, to:"
                    " 2025-01-01}")]),
        ("[2024-02-30]", [("3:11: windows[0]: 2024-02-30 stands alone; write {from: DATE, to:"
                           " DATE}, {last: 7 days} or a word such as yesterday")]),
        ("[9999]", [("3:11: windows[0]: 9999 stands alone; write {from: DATE, to:"
                     " DATE}, {last: 7 days} or a word such as yesterday")]),
        ("[2024-02-01..2024-02-03]", [("3:11: windows[0]: 2024-02-01..2024-02-03 stands alone;"
                                       " write {from: DATE, to: DATE}, {last: 7 days} or a word"
                                       " such as yesterday")]),
        ("['last: 7 days']", [("3:11: windows[0]: last: 7 days is not a calendar word; write"
                               " {last: 7 days}")]),
        ("[{last: 7}]", ["3:18: windows[0].last: 7 has no unit; write 7 days if days are meant"]),
        (
            "[{last: 0}]",
            [f"3:18: windows[0].last: 0 {UNITLESS}"],
        ),
        ("[{last: a week}]", [("3:18: windows[0].last: a week is not a number of calendar units;"
                               " write it as 7 days, 2 weeks or 3 months")]),
        ("[whenever]", [("3:11: windows[0]: whenever is not a calendar word; write yesterday,"
                        " today, last_week, this_week, last_month, this_month")]),
        ("[~]", ["3:11: windows[0]: is empty; give it a value, or remove the key"]),
        ("[[a]]", ["3:11: windows[0]: is not a mapping of keys; write {key: value}"]),
        ("[{}]", [("3:11: windows[0]: is empty; write {from: DATE, to: DATE}, {last: 7 days} or a"
                  " word such as yesterday")]),
        ("[{to: 2025-01-01}]", ["3:11: windows[0]: to stands without from; add from"]),
        ("[{from: 2025-01-01, to: }]", [("3:34: windows[0].to: is empty; give it a value, or"
                                        " remove the key")]),
        ("[{last: 7 days, from: 2025-01-01}]", [("3:11: windows[0]: last stands together with from"
                                                " or to; make two windows of it, or keep one of"
                                                " the two")]),
        ("[{last: 36 hours}]", [("3:18: windows[0].last: 36 hours is not a number of whole days;"
                                " write 2 days")]),
        ("[{form: 2025-01-01}]", ["3:12: windows[0].form: is not a key here; did you mean from?"]),
        ("[{from: 2025-01-02, to: 2025-01-01}]", [("3:34: windows[0].to: 2025-01-01 lies before"
                                                  " from: 2025-01-02; exchange the two, or check"
                                                  " the years")]),
        ("[{from: 2025-01-31, to: 2025-01-31}]", [("3:34: windows[0].to: 2025-01-31 is also where"
                                                  " the window begins, so nothing lies in it;"
                                                  " `to` is the first moment that is not wanted:"
                                                  " for that day, write 2025-02-01")]),
        ("[{from: 2025-02-30}, {from: tomorrow}]", [
            ("3:18: windows[0].from: 2025-02-30 is not a date (day 30 of a month that has 28);"
            " write 2025-02-28"),
            ("3:38: windows[1].from: tomorrow is not a date; write it as 2025-01-31,"
            " 2025-01-31T10:00 or 2025-01-31T10:00:00Z")]),
    ],
)  # fmt: skip
def test_mistakes_in_windows(tmp_path: Path, windows: str, messages: list[str]) -> None:
    found = read_job(tmp_path, job_text(windows=windows)).mistakes
    assert found == [f"job.yaml:{message}" for message in messages]


def test_ends_are_compared_as_moments_not_as_text(tmp_path: Path) -> None:
    windows = "[{from: 2025-01-01T00:00+02:00, to: 2025-01-01}]"
    job = read_job(tmp_path, job_text(windows=windows)).job
    assert job.windows == (AbsoluteWindow(utc("2024-12-31T22:00"), utc("2025-01-01T00:00")),)


@pytest.mark.parametrize(
    ("end", "what"),
    [
        ("2025-01-31T23:59:59", ("loses a second, since `to` is the first moment not wanted;"
         " write 2025-02-01")),
        ("2025-01-31T23:59:59Z", ("loses a second, since `to` is the first moment not wanted;"
         " write 2025-02-01T00:00:00Z")),
        ("2025-01-31T23:59", ("loses a minute, since `to` is the first moment not wanted;"
         " write 2025-02-01")),
    ],
)  # fmt: skip
def test_an_end_just_before_midnight_gets_a_warning(tmp_path: Path, end: str, what: str) -> None:
    reading = read_job(tmp_path, job_text(windows=f"[{{from: 2025-01-01, to: {end}}}]"))
    assert reading.mistakes == []
    assert reading.warnings == [f"job.yaml:3:34: windows[0].to: {end} {what}"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            job_text(accounts="['abcd1234\u200b']"),
            (
                "1:12: accounts[0]: abcd1234\\u200b holds zero width space (U+200B), which "
                "cannot be "
                "seen; type the value anew"
            ),
        ),
        (
            job_text(accounts="['\u00a0abcd1234']"),
            (
                "1:12: accounts[0]: \\xa0abcd1234 holds no-break space (U+00A0), which cannot be "
                "seen; "
                "type the value anew"
            ),
        ),
        (
            job_text(accounts="['{{ account }}']"),
            (
                "1:12: accounts[0]: {{ account }} is a placeholder that nothing has filled in; "
                "write "
                "the value itself; only credentials may be variables"
            ),
        ),
        (
            job_text(accounts="[$ACCOUNT]"),
            (
                "1:12: accounts[0]: $ACCOUNT is a placeholder that nothing has filled in; write "
                "the value itself; only credentials may be variables"
            ),
        ),
        (
            job_text(windows="[{from: <START>}]"),
            (
                "3:18: windows[0].from: <START> is a placeholder that nothing has filled in; write "
                "the value itself; only credentials may be variables"
            ),
        ),
        (
            job_text(accounts="[abcd1234, ABCD1234]"),
            (
                "1:22: accounts[1]: account ABCD1234 stands in line 1 already as abcd1234; "
                "remove one "
                "of the two"
            ),
        ),
        (
            job_text(products="[{product: VERIFY-API, country: [gb, GB]}]"),
            (
                "2:48: products[0].country[1]: GB stands in the list already, in other letters; "
                "remove "
                "one, or its records are bought twice"
            ),
        ),
    ],
    ids=["invisible", "no break", "jinja", "shell", "angle brackets", "accounts", "countries"],
)
def test_accidents_of_copying_have_a_place_and_a_remedy(
    tmp_path: Path, text: str, message: str
) -> None:
    assert read_job(tmp_path, text).mistakes == [f"job.yaml:{message}"]


def test_an_end_at_the_last_day_of_a_month_gets_a_hint(tmp_path: Path) -> None:
    """Whoever writes it mostly wants that day as well."""
    reading = read_job(tmp_path, job_text(windows="[{from: 2025-01-01, to: 2025-01-31}]"))
    (warning,) = reading.warnings
    assert warning.endswith(
        "windows[0].to: 2025-01-31 itself is not included, since `to` is exclusive; "
        "write 2025-02-01 to include the last day of the month"
    )
    reading = read_job(tmp_path, job_text(windows="[{from: 2025-01-01, to: 2025-01-30}]"))
    assert reading.warnings == []


def test_a_window_in_the_future_gets_a_warning(tmp_path: Path) -> None:
    text = job_text(windows="[{from: 2052-01-01}, {from: 2025-01-01, to: 2052-01-01}]")
    assert read_job(tmp_path, text).warnings == []
    assert read_job(tmp_path, text, now=utc("2026-03-01T00:00")).warnings == [
        (
            "job.yaml:3:18: windows[0].from: 2052-01-01 lies in the future: there is nothing to"
            " collect yet; check the date"
        )
    ]


def test_a_bad_zone_hides_no_bad_window(tmp_path: Path) -> None:
    text = job_text(windows="[{from: 2025-13-01}]", more="timezone: nowhere\n")
    assert len(read_job(tmp_path, text).mistakes) == 2


def test_credentials_that_the_config_lacks(tmp_path: Path) -> None:
    text = job_text(
        accounts="[abcd1234, {id: ef567890, credentials: emae}]", more="credentials: prime\n"
    )
    assert read_job(tmp_path, text, credentials=["default", "emea"]).mistakes == [
        (
            "job.yaml:1:50: accounts[1].credentials: the config has no credentials of this name;"
            " did you mean emea?"
        ),
        (
            "job.yaml:4:14: credentials: the config has no credentials of this name;"
            " it has default and emea"
        ),
    ]
    assert read_job(tmp_path, text).mistakes == []


def test_default_credentials_that_the_config_lacks(tmp_path: Path) -> None:
    text = job_text(accounts="[abcd1234, {id: ef567890, credentials: emea}, 00123456]")
    assert read_job(tmp_path, text, credentials=["emea"]).mistakes == [
        "job.yaml:1:12: accounts[0]: the config has no credentials named default; it has emea"
    ]


def test_a_file_name_that_is_no_job_name(tmp_path: Path) -> None:
    path = tmp_path / "my job.yaml"
    path.write_text(job_text())
    with pytest.raises(InputError) as caught:
        load_jobs([path])
    assert str(caught.value).replace(f"{tmp_path}/", "") == (
        "my job.yaml:1:1: the job takes its name from the file, and my job is not a name (letters,"
        " digits, and . _ - between them); write my-job behind `name:`"
    )


def _load(directory: Path, *names: str) -> str:
    with pytest.raises(InputError) as caught:
        load_jobs([directory / name for name in names])
    return str(caught.value).replace(f"{directory}/", "")


def test_mistakes_of_several_files_come_together(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(job_text(more="settle: 60\n"))
    (tmp_path / "b.yaml").write_text(job_text(windows="[today]", more="chunk: 1 year\n"))
    (tmp_path / "c.yaml").write_text("a: [\n")
    assert _load(tmp_path, "a.yaml", "none.yaml", "b.yaml", "c.yaml").splitlines() == [
        "a.yaml:4:9: settle: 60 has no unit; write 60s if seconds are meant",
        "none.yaml: there is no such file; check the path",
        "b.yaml:4:8: chunk: 1 year is not in a unit known here; write 12 months",
        "c.yaml:2:1: a value is missing here; check the brackets and commas",
    ]


def test_two_files_of_one_job_name(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(job_text(more="name: b\n"))
    (tmp_path / "b.yaml").write_text(job_text())
    assert _load(tmp_path, "a.yaml", "b.yaml") == (
        "b.yaml:1:1: b is the name of a.yaml too; give one of the two another name"
    )


def test_one_file_named_twice(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(job_text())
    (tmp_path / "link.yaml").symlink_to(tmp_path / "a.yaml")
    assert _load(tmp_path, "a.yaml", "a.yaml", "link.yaml").splitlines() == [
        "a.yaml: is named twice; name it once",
        "link.yaml: is the same file as a.yaml; name it once",
    ]


def test_jobs_come_in_the_order_named(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(job_text())
    (tmp_path / "b.yaml").write_text(job_text())
    jobs, warnings = load_jobs([tmp_path / "b.yaml", tmp_path / "a.yaml"])
    assert [job.name for job in jobs] == ["b", "a"]
    assert warnings == ()


def test_a_file_with_thousands_of_mistakes_is_told_in_bounds(tmp_path: Path) -> None:
    text = job_text(accounts=f"[{', '.join(['x'] * 5000)}]")
    mistakes = read_job(tmp_path, text).mistakes
    assert len(mistakes) == MAX_FINDINGS + 1
    assert mistakes[-1] == "job.yaml: and more of this kind in this file"


@pytest.mark.parametrize("value", ["1", ""])
def test_of_thousands_of_wrong_keys_the_first_are_told(tmp_path: Path, value: str) -> None:
    wrong = "".join(f"key{number}: {value}\n" for number in range(5000))
    mistakes = read_job(tmp_path, wrong + job_text()).mistakes
    assert [mistake.split(":")[1] for mistake in mistakes[:-1]] == [
        str(line) for line in range(1, MAX_FINDINGS + 1)
    ]
    assert mistakes[-1] == "job.yaml: and more of this kind in this file"


@pytest.mark.parametrize(
    ("name", "series"), [("nightly.yaml", 7), ("backfill.yaml", 7), ("demo.yaml", 18)]
)
def test_the_shipped_jobs_are_sound(name: str, series: int) -> None:
    (job,), warnings = load_jobs([SHIPPED / name])
    assert len(job.series) == series
    assert warnings == ()
