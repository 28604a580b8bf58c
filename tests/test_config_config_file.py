"""The config file: defaults, every key, every mistake; and where it is looked for."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import NoReturn

import pytest

from orchestrator.config import find_config, load_inputs
from orchestrator.config.discovery import users_of
from orchestrator.core.record_columns import columns_of
from orchestrator.core.settings import (
    ApiSettings,
    CallbackSettings,
    ColumnRules,
    Config,
    CredentialReference,
    Format,
    Limits,
    OnTimeout,
    OnUnknown,
    OutputSettings,
    PollPolicy,
    RetryPolicy,
    Secret,
)
from orchestrator.errors import InputError
from tests.kit.config_files import load_config
from tests.kit.job_files import job_text, read_settings

EXAMPLE = Path(__file__).parent.parent / "config.example.yaml"


def reference(key: str, secret: str, name: str = "default") -> CredentialReference:
    return CredentialReference(name, key, Secret(secret))


VONAGE = {"default": reference("${VONAGE_API_KEY}", "${VONAGE_API_SECRET}")}
NEXMO = {"default": reference("${NEXMO_API_KEY}", "${NEXMO_API_SECRET}")}


def test_without_a_file_all_is_default_beside_the_job(tmp_path: Path) -> None:
    config, warnings = load_config(None, base=tmp_path, env={})
    assert warnings == ()
    assert config == Config(
        path=None,
        credentials=VONAGE,
        output=OutputSettings(tmp_path / "reports", Format.CSV),
        state=tmp_path / "state" / "ledger.db",
        api=ApiSettings("https://api.nexmo.com", 5.0, timedelta(seconds=60)),
        limits=Limits(100, 4),
        retry=RetryPolicy(8, timedelta(seconds=1), timedelta(seconds=60)),
        poll=PollPolicy(
            timedelta(seconds=5), timedelta(seconds=60), timedelta(hours=6), OnTimeout.KEEP
        ),
        on_unknown=OnUnknown.HOLD,
        callback=None,
    )


def test_the_example_says_nothing_but_the_defaults() -> None:
    config, warnings = load_config(EXAMPLE, base=Path(), env={})
    default, _ = load_config(None, base=EXAMPLE.parent, env={})
    assert warnings == ()
    assert config.path == EXAMPLE
    assert {**_facts(config), "path": None} == _facts(default)


def _facts(config: Config) -> dict[str, object]:
    return {name: getattr(config, name) for name in Config.__dataclass_fields__}


def test_a_config_with_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pwd.getpwuid", lambda _: SimpleNamespace(pw_dir="/home/me"))
    text = """\
api: {base_url: "http://127.0.0.1:8080/", requests_per_second: 2000.5, timeout: 30s}
credentials:
  default: {api_key: abcd1234, api_secret: "${MY_SECRET}"}
  emea: {api_key: "file:key", api_secret: "file:/run/secrets/emea"}
output: {directory: ../out, format: csv.gz}
state: ~/ledger.db
limits: {in_flight: 7, downloads: 2}
retry: {attempts: 3, wait_initial: 500ms, wait_max: 10s}
poll: {interval_initial: 1s, interval_max: 2m, timeout: 2d, on_timeout: keep}
on_unknown: hold
callback: {listen: 127.0.0.1:8080, public_url: https://hooks.example.com/vonage}
"""
    config, mistakes, warnings = read_settings(tmp_path, text, env={"HOME": "/home/me"})
    assert (mistakes, warnings) == ([], [])
    assert config == Config(
        path=tmp_path / "config.yaml",
        credentials={
            "default": reference("abcd1234", "${MY_SECRET}"),
            "emea": reference(f"file:{tmp_path}/key", "file:/run/secrets/emea", "emea"),
        },
        output=OutputSettings(tmp_path.parent / "out", Format.CSV_GZ),
        state=Path("/home/me/ledger.db"),
        api=ApiSettings("http://127.0.0.1:8080", 2000.5, timedelta(seconds=30)),
        limits=Limits(7, 2),
        retry=RetryPolicy(3, timedelta(milliseconds=500), timedelta(seconds=10)),
        poll=PollPolicy(
            timedelta(seconds=1), timedelta(minutes=2), timedelta(days=2), OnTimeout.KEEP
        ),
        callback=CallbackSettings("127.0.0.1:8080", "https://hooks.example.com/vonage"),
    )


def test_sections_that_are_empty_count_as_left_out(tmp_path: Path) -> None:
    text = "api:\ncredentials:\noutput: {}\nlimits:\nretry: ~\npoll: null\ncallback:\n"
    config, mistakes, _ = read_settings(tmp_path, text)
    assert mistakes == []
    assert config is not None
    default, _ = load_config(None, base=tmp_path, env={})
    assert {**_facts(config), "path": None} == _facts(default)


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({}, VONAGE),
        ({"NEXMO_API_KEY": "a", "NEXMO_API_SECRET": "b"}, NEXMO),
        ({"NEXMO_API_KEY": "a"}, VONAGE),
        ({"VONAGE_API_KEY": "c", "NEXMO_API_KEY": "a", "NEXMO_API_SECRET": "b"}, NEXMO),
        (
            {
                "VONAGE_API_KEY": "c",
                "VONAGE_API_SECRET": "d",
                "NEXMO_API_KEY": "a",
                "NEXMO_API_SECRET": "b",
            },
            VONAGE,
        ),
    ],
)
def test_default_credentials_come_from_the_complete_pair(
    tmp_path: Path, env: dict[str, str], expected: dict[str, CredentialReference]
) -> None:
    config, _ = load_config(None, base=tmp_path, env=env)
    assert config.credentials == expected
    named, _, _ = read_settings(tmp_path, "limits: {downloads: 1}\n", env=env)
    assert named is not None
    assert named.credentials == expected


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        ("output: {format: orc}", [("1:18: output.format: orc is none of the choices; write"
                                       " csv, csv.gz, csv.zst, zip or parquet")]),
        ("output: {format: cvs}", [("1:18: output.format: cvs is none of the choices; did you mean"
                                   " csv?")]),
        ("output: {directory: '${HOME}/x'}", [("1:21: output.directory: ${HOME}/x holds a variable,"
                                              " which only credentials may; write the path out;"
                                              " relative ones begin at this file")]),
        ("output: {directory: '%HOME%/x'}", [("1:21: output.directory: %HOME%/x holds a placeholder"
                                              " that nothing has filled in; write the path out;"
                                              " relative ones begin at this file")]),
        ("state: '{{ base }}/ledger.db'", [("1:8: state: {{ base }}/ledger.db holds a placeholder"
                                            " that nothing has filled in; write the path out;"
                                            " relative ones begin at this file")]),
        ("output: reports", ["1:9: output: is not a mapping of keys; write {key: value}"]),
        ("state:", ["1:7: state: is empty; give it a value, or remove the key"]),
        ("limits: {in_flight: 0, downloads: many}", [
            "1:21: limits.in_flight: 0 is out of bounds; write a whole number from 1 to 100000",
            "1:35: limits.downloads: many is not a whole number; write one from 1 to 64"]),
        ("limit: {in_flight: 1}", ["1:1: limit: is not a key here; did you mean limits?"]),
        ("products: [SMS]", ["1:1: products: is not a key here; it belongs in a job file"]),
        ("api: {requests_per_second: 0}", [("1:28: api.requests_per_second: 0 is out of bounds;"
                                           " write a number above 0, at most 100000")]),
        ("api: {timeout: 0s}", [("1:16: api.timeout: 0s is out of bounds; write a duration from"
                                " 1ms to 1h")]),
        ("api: {base_url: 'http://example.com'}", [
            ("1:17: api.base_url: http://example.com would send the credentials unencrypted; write"
            " https://example.com")]),
        ("retry: {wait_initial: 2m}", [("1:23: retry.wait_initial: 2m is more than wait_max (1m);"
                                       " let wait_initial be at most wait_max")]),
        ("poll: {interval_max: 1s}", [("1:22: poll.interval_max: 1s is less than interval_initial"
                                      " (5s); let interval_initial be at most interval_max")]),
        ("callback: {listen: 8080}", [
            "1:11: callback: public_url is missing; add public_url",
            "1:20: callback.listen: 8080 is not HOST:PORT; write one such as 127.0.0.1:8080"]),
        ("callback: {listen: 'h:1', public_url: 'https://h/x?a=b'}", [
            ("1:39: callback.public_url: the address holds a query or a fragment; remove it from"
            " the ? or # on")]),
        ("callback: {listen: 'h:1', public_url: 'https://h/#x'}", [
            ("1:39: callback.public_url: the address holds a query or a fragment; remove it from"
            " the ? or # on")]),
        ("callback: {listen: 'h:1', public_url: 'https://u:p@h/'}", [
            ("1:39: callback.public_url: the address holds a user name or password; remove what"
            " stands before the @")]),
        ("callback: {public_url: 'https://h'}", [
            "1:11: callback: listen is missing; add listen"]),
        ("credentials: x", [("1:14: credentials: is not a mapping of names; write {NAME: {api_key:"
                            " …, api_secret: …}}")]),
        ("credentials: {}", [("1:14: credentials: names no credentials; add default: {api_key: …,"
                             " api_secret: …}, or remove the key")]),
        ("credentials: {default: }", [("1:24: credentials.default: is empty; write {api_key: …,"
                                      " api_secret: …}, or remove the name")]),
        ("credentials: {a b: {api_key: x, api_secret: '${S}'}}", [
            ("1:15: credentials.…: is not a name (letters, digits, and . _ - between them;"
            " nothing invisible); write one such as default")]),
        ("credentials: {default: {api_key: x}}", [("1:24: credentials.default: api_secret is"
                                                  " missing; add api_secret")]),
        ("credentials: {default: {api_key: x, api_secret: 'file:'}}", [
            "1:49: credentials.default.api_secret: file: names no file; write file:PATH"]),
        ("credentials: {default: {api_key: x, api_secret: 'hunter2${X}'}}", [
            ("1:49: credentials.default.api_secret: mixes a variable with other text; write"
            " ${NAME} and nothing else")]),
        ("credentials: {default: {api_key: x, api_secret: hunter2}}", [
            ("1:49: credentials.default.api_secret: a secret stands here, and others may read this"
            " file; write ${NAME} or file:PATH instead, or make the file private: chmod 600"
            " config.yaml")]),
        ("credentials: {default: {api_key: x, api_secret: [hunter2]}}", [
            "1:49: credentials.default.api_secret: is a list; write a single value"]),
        ("credentials: {default: {api_key: x, api_secrets: hunter2}}", [
            "1:24: credentials.default: api_secret is missing; add api_secret",
            "1:37: credentials.default.…: is not a key here; did you mean api_secret?"]),
    ],
)  # fmt: skip
def test_mistakes_in_the_config(tmp_path: Path, text: str, messages: list[str]) -> None:
    _, mistakes, _ = read_settings(tmp_path, text)
    assert mistakes == [f"config.yaml:{message}" for message in messages]


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_secret_may_stand_in_a_private_file(tmp_path: Path, mode: int) -> None:
    text = "credentials: {default: {api_key: abcd1234, api_secret: hunter2}}"
    config, mistakes, _ = read_settings(tmp_path, text, mode=mode)
    assert mistakes == []
    assert config is not None
    assert config.credentials["default"].api_secret.reveal() == "hunter2"
    assert "hunter2" not in repr(config) + str(config) + f"{config.credentials}"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_secret_in_a_file_that_others_read_is_refused_and_not_shown(
    tmp_path: Path, mode: int
) -> None:
    text = "credentials: {default: {api_key: abcd1234, api_secret: hunter2}}"
    _, mistakes, _ = read_settings(tmp_path, text, mode=mode)
    assert len(mistakes) == 1
    assert "hunter2" not in mistakes[0]


@pytest.mark.parametrize(
    "url", ["https://h.example.com/x", "http://127.0.0.1:8080", "http://localhost", "HTTPS://h/"]
)
def test_callbacks_by_https_or_to_this_machine_are_fine(tmp_path: Path, url: str) -> None:
    text = f"callback: {{listen: '127.0.0.1:0', public_url: '{url}'}}"
    config, mistakes, warnings = read_settings(tmp_path, text)
    assert (mistakes, warnings) == ([], [])
    assert config is not None
    assert config.callback == CallbackSettings("127.0.0.1:0", url.rstrip("/"))


def test_callbacks_by_plain_http_over_a_network_get_a_warning(tmp_path: Path) -> None:
    text = "callback: {listen: '0.0.0.0:80', public_url: 'http://hooks.example.com/vonage/'}"
    config, mistakes, warnings = read_settings(tmp_path, text)
    assert mistakes == []
    (warning,) = warnings
    assert warning == (
        "config.yaml:1:46: callback.public_url: callbacks would come unencrypted, and whoever reads"
        " along could send false ones; write https://hooks.example.com/vonage"
    )
    assert config is not None
    assert config.callback is not None
    assert config.callback.public_url == "http://hooks.example.com/vonage"


@pytest.mark.parametrize(
    ("listen", "host", "port"),
    [("127.0.0.1:8080", "127.0.0.1", 8080), ("[::1]:0", "::1", 0), ("localhost:1", "localhost", 1)],
)
def test_an_address_to_listen_on_is_taken_apart(listen: str, host: str, port: int) -> None:
    assert CallbackSettings(listen, "https://h").host_and_port == (host, port)


def test_more_requests_than_the_api_allows_get_a_warning(tmp_path: Path) -> None:
    _, mistakes, warnings = read_settings(tmp_path, "api: {requests_per_second: 6}")
    assert mistakes == []
    assert warnings == [
        (
            "config.yaml:1:28: api.requests_per_second: the API allows a key 5 requests a second"
            " and refuses the rest; write 5 or less"
        )
    ]


def test_a_missing_config(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no such file"):
        load_config(tmp_path / "none.yaml", base=tmp_path, env={})


# --- where it is looked for -----------------------------------------------------------------------


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A directory with two projects: ``one`` has a config above its jobs, ``two`` has none."""
    for place in ("one/jobs/deep", "two/jobs", "two/others"):
        (tmp_path / place).mkdir(parents=True)
    (tmp_path / "one/config.yaml").write_text("limits: {downloads: 1}\n")
    return tmp_path


def test_the_option_wins_over_the_variable_and_that_over_the_search(tree: Path) -> None:
    env = {"ORCHESTRATOR_CONFIG": "b.yaml"}
    job = [Path("one/jobs/a.yaml")]
    assert find_config(Path("a.yaml"), job, env, tree) == tree / "a.yaml"
    assert find_config(None, job, env, tree) == tree / "b.yaml"
    assert find_config(None, job, {"ORCHESTRATOR_CONFIG": ""}, tree) == tree / "one/config.yaml"


def test_the_search_goes_up_from_the_job_file(tree: Path) -> None:
    jobs = [Path("one/jobs/deep/a.yaml"), Path("one/b.yaml"), tree / "one/jobs/c.yaml"]
    assert find_config(None, jobs, {}, tree) == tree / "one/config.yaml"
    assert find_config(None, [Path("../two/jobs/a.yaml")], {}, tree / "one") is None


def test_without_a_job_the_search_goes_up_from_the_working_directory(tree: Path) -> None:
    assert find_config(None, [], {}, tree / "one/jobs/deep") == tree / "one/config.yaml"
    assert find_config(None, [], {}, tree / "two") is None


def test_a_directory_of_that_name_is_no_config(tree: Path) -> None:
    (tree / "one/jobs/config.yaml").mkdir()
    assert find_config(None, [Path("one/jobs/a.yaml")], {}, tree) == tree / "one/config.yaml"


def test_a_linked_job_belongs_where_the_link_stands(tree: Path) -> None:
    (tree / "one/jobs/a.yaml").write_text("x")
    (tree / "two/jobs/a.yaml").symlink_to(tree / "one/jobs/a.yaml")
    assert find_config(None, [Path("two/jobs/a.yaml")], {}, tree) is None
    assert users_of([Path("two/jobs/a.yaml")], tree) == (tree / "two/jobs",)


def _refused(tree: Path, *jobs: str) -> str:
    with pytest.raises(InputError) as caught:
        find_config(None, [Path(job) for job in jobs], {}, tree)
    return str(caught.value).replace(f"{tree}/", "")


def test_jobs_that_find_different_configs(tree: Path) -> None:
    (tree / "one/jobs/config.yaml").write_text("limits: {downloads: 1}\n")
    but = "but one/a.yaml uses one/config.yaml"
    remedy = "run them one after another, or name one config with --config or $ORCHESTRATOR_CONFIG"
    assert _refused(tree, "one/a.yaml", "one/jobs/b.yaml", "two/c.yaml").splitlines() == [
        f"one/jobs/b.yaml: uses one/jobs/config.yaml, {but}; {remedy}",
        f"two/c.yaml: has no config.yaml, {but}; {remedy}",
    ]


def test_jobs_without_a_config_in_different_directories(tree: Path) -> None:
    assert _refused(tree, "two/jobs/a.yaml", "two/others/b.yaml") == (
        "two/others/b.yaml: stands in another directory than two/jobs/a.yaml, and neither has a"
        " config.yaml; write one in a directory above both, or name one with --config"
    )


def test_jobs_without_a_config_in_one_directory(tree: Path) -> None:
    jobs = [Path("two/jobs/a.yaml"), tree / "two/jobs/b.yaml", Path("two/./jobs/c.yaml")]
    assert find_config(None, jobs, {}, tree) is None


@pytest.mark.parametrize("name", ["config.yml", "config.yaml ", ".config.yaml"])
def test_a_file_that_is_nearly_called_config_is_not_passed_by(tree: Path, name: str) -> None:
    """Before: all was default, with a second ledger."""
    (tree / f"two/jobs/{name}").write_text("limits: {downloads: 1}\n")
    assert _refused(tree, "two/jobs/a.yaml") == (
        f"two/jobs/{name} is not read: the config is called config.yaml; rename it, or name it "
        "with --config"
    )


def test_a_job_that_is_not_there_is_answered_with_one_that_is(tree: Path) -> None:
    (tree / "two/jobs/nightly.yaml").write_text("x")
    with pytest.raises(InputError) as caught:
        load_inputs([tree / "two/jobs/nightly.yml"], env={})
    assert str(caught.value).endswith(
        f"nightly.yml: there is no such file; did you mean {tree / 'two/jobs/nightly.yaml'}?"
    )


# --- the home directory ---------------------------------------------------------------------------

HOME_PATHS = "output: {directory: ~/reports}\nstate: ~/ledger.db\n"


def test_without_home_the_password_database_knows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a systemd service. Before: a folder called `~`, a second ledger, a second purchase."""
    monkeypatch.setattr("pwd.getpwuid", lambda _: SimpleNamespace(pw_dir="/home/service"))
    config, mistakes, _ = read_settings(tmp_path, HOME_PATHS, env={})
    assert mistakes == []
    assert config is not None
    assert config.output.directory == Path("/home/service/reports")
    assert config.state == Path("/home/service/ledger.db")


def test_a_user_without_a_home_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(_: int) -> NoReturn:
        raise KeyError

    monkeypatch.setattr("pwd.getpwuid", unknown)
    _, mistakes, _ = read_settings(tmp_path, HOME_PATHS, env={})
    what = (
        "begins with ~, but this user has no home directory: HOME is not set, and the password "
        "database has none; set HOME, or write the whole path"
    )
    assert mistakes == [
        f"config.yaml:1:21: output.directory: {what}",
        f"config.yaml:2:8: state: {what}",
    ]


def test_a_home_that_is_no_absolute_path_is_refused(tmp_path: Path) -> None:
    """It would be a folder below the config's."""
    _, mistakes, _ = read_settings(tmp_path, "state: ~/ledger.db\n", env={"HOME": "me"})
    what = "begins with ~, but HOME is no absolute path; set HOME to one, or write the whole path"
    assert mistakes == [f"config.yaml:1:8: state: {what}"]


@pytest.mark.parametrize("home", ["/home/other", "/home/service"])
def test_another_home_than_that_of_the_password_database_gets_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: str
) -> None:
    monkeypatch.setattr("pwd.getpwuid", lambda _: SimpleNamespace(pw_dir="/home/service"))
    text = "state: ~/ledger.db\noutput: {directory: ~/reports}\n"
    _, _, warnings = read_settings(tmp_path, text, env={"HOME": home})
    what = (
        "~ is /home/other, as HOME says, but the password database says /home/service: a call with "
        "another HOME uses another place; write the whole path"
    )
    places = ["config.yaml:1:8: state", "config.yaml:2:21: output.directory"]
    expected = [f"{place}: {what}" for place in places]
    assert warnings == (expected if home == "/home/other" else [])


def test_another_home_gets_no_warning_where_neither_ledger_nor_files_are_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pwd.getpwuid", lambda _: SimpleNamespace(pw_dir="/home/service"))
    text = (
        "state: /srv/ledger.db\noutput: {directory: reports}\nmetrics: {textfile: ~/x.prom}\n"
        "credentials: {default: {api_key: abcd1234, api_secret: file:~/secret}}\n"
    )
    _, mistakes, warnings = read_settings(tmp_path, text, env={"HOME": "/home/other"})
    assert (mistakes, warnings) == ([], [])


def test_the_home_of_another_user_is_not_guessed(tmp_path: Path) -> None:
    _, mistakes, _ = read_settings(tmp_path, "state: ~other/ledger.db\n", env={"HOME": "/home/me"})
    assert mistakes == [
        "config.yaml:1:8: state: begins at the home directory of another user; write the whole path"
    ]


# --- all together ---------------------------------------------------------------------------------


def test_mistakes_of_config_and_jobs_come_together(tree: Path) -> None:
    (tree / "one/config.yaml").write_text(
        "limits: {downloads: 0}\ncredentials: {main: {api_key: '${K}', api_secret: '${S}'}}\n"
    )
    job = tree / "one/jobs/a.yaml"
    job.write_text(job_text(more="settle: 99d\n"))
    with pytest.raises(InputError) as caught:
        load_inputs([job], env={}, cwd=tree)
    assert str(caught.value).replace(f"{tree}/", "").splitlines() == [
        (
            "one/config.yaml:1:21: limits.downloads: 0 is out of bounds; write a whole number from"
            " 1 to 64"
        ),
        (
            "one/jobs/a.yaml:1:12: accounts[0]: the config has no credentials named default;"
            " it has main"
        ),
        "one/jobs/a.yaml:4:9: settle: 99d is out of bounds; write a duration from 0s to 30d",
    ]


def test_everything_that_a_command_needs_at_once(tree: Path) -> None:
    job = tree / "one/jobs/a.yaml"
    job.write_text(job_text(products="[{product: ASR, status: ok}]"))
    inputs = load_inputs([job], env={}, cwd=tree)
    assert inputs.config.limits.downloads == 1
    assert inputs.config.state == tree / "one/state/ledger.db"
    assert [one.name for one in inputs.jobs] == ["a"]
    assert inputs.credential_names == ("default",)
    assert len(inputs.warnings) == 1


def test_room_to_keep_free_is_read_as_bytes(tmp_path: Path) -> None:
    config, mistakes, _ = read_settings(tmp_path, "output: {keep_free: 1.5 GB}\n")
    assert config is not None
    assert (config.output.keep_free_bytes, mistakes) == (1_500_000_000, [])
    config, _, _ = read_settings(tmp_path, "output: {}\n")
    assert config is not None
    assert config.output.keep_free_bytes == 200_000_000


def test_accounts_of_two_jobs_that_differ_in_case_only_get_a_warning(tree: Path) -> None:
    """Before: two series, and each record was bought twice."""
    jobs = [tree / "one/jobs/a.yaml", tree / "one/jobs/c.yaml"]
    for job, account in zip(jobs, ("abcd1234", "ABCD1234"), strict=True):
        job.write_text(job_text(accounts=f"[{account}]"))
    (warning,) = load_inputs(jobs, env={}, cwd=tree).warnings
    assert str(warning) == (
        f"{jobs[1]}: accounts: account ABCD1234 is abcd1234 in {jobs[0]}, in other letters; "
        "write it alike in both, or its records are bought twice"
    )


# --- output.columns -------------------------------------------------------------------------------

HASHED = 'output: {columns: {drop: [message_body], hash: [from, to]}, hash_key: "${HASH_KEY}"}\n'


def test_rules_for_columns_hold_for_every_product(tmp_path: Path) -> None:
    config, mistakes, warnings = read_settings(tmp_path, HASHED)
    assert config is not None
    assert (mistakes, warnings) == ([], [])
    rules = ColumnRules(frozenset({"message_body"}), frozenset({"from", "to"}))
    assert config.output.columns.of("SMS") == config.output.columns.of("ASR") == rules
    assert config.output.hash_key is not None
    assert config.output.hash_key.reveal() == "${HASH_KEY}"


def test_rules_for_columns_may_differ_by_product(tmp_path: Path) -> None:
    text = "output: {columns: {VOICE: {drop: [to]}, default: {drop: [from]}}}\n"
    config, mistakes, _ = read_settings(tmp_path, text)
    assert config is not None
    assert mistakes == []
    assert config.output.columns.of("VOICE-CALL") == ColumnRules(frozenset({"to"}))
    assert config.output.columns.of("SMS") == ColumnRules(frozenset({"from"}))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{hash: [from]}", "columns are to be hashed, and there is no key for it"),
        ("[from]", "is not a mapping of rules"),
        ("{drop: from}", "drop is not a list of columns"),
        ("{drop: [to], hash: [to]}", "to is both dropped and hashed"),
        ("{drop: [to], SMS: {drop: [to]}}", "SMS is no rule"),
        ("{SMS: [to]}", "SMS has no rules"),
        ("{VOICE: {drop: [to]}, VOICE-CALL: {drop: [to]}}", "VOICE-CALL has rules already"),
        ("{SMS: {dropp: [to]}}", "dropp is no rule; did you mean drop?"),
        (
            f"{{AMD: {{drop: [{', '.join(columns_of('AMD'))}]}}}}",
            "every column of AMD that is known here is dropped",
        ),
    ],
)
def test_wrong_rules_for_columns_are_told(tmp_path: Path, text: str, told: str) -> None:
    _, mistakes, _ = read_settings(tmp_path, f"output: {{columns: {text}}}\n")
    assert [told in str(mistake) for mistake in mistakes] == [True], mistakes


def test_an_archive_as_it_came_keeps_its_columns(tmp_path: Path) -> None:
    text = "output: {format: zip, columns: {drop: [message_body]}}\n"
    _, (mistake,), _ = read_settings(tmp_path, text)
    assert "zip keeps the archive as it came" in str(mistake)


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        (
            "{drop: [mesage_body]}",
            "mesage_body is no column known here; did you mean message_body?",
        ),
        ("{ASR: {drop: [message_body]}}", "message_body is no column of ASR known here"),
    ],
)
def test_a_column_that_no_product_has_is_a_warning(tmp_path: Path, rules: str, told: str) -> None:
    _, mistakes, (warning,) = read_settings(tmp_path, f"output: {{columns: {rules}}}\n")
    assert mistakes == []
    assert told in str(warning)


@pytest.mark.parametrize("name", ["state/ledger.db", "config.yaml", "reports/manifest.jsonl"])
def test_metrics_never_replace_a_file_that_is_none_of_theirs(tmp_path: Path, name: str) -> None:
    _, mistakes, _ = read_settings(tmp_path, f"metrics: {{textfile: {name}}}\n")
    assert ["does not end in .prom" in mistake for mistake in mistakes] == [True]
