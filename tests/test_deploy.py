"""The files of deploy/ work as they stand, as far as a machine without their systems can tell."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
import yaml

from orchestrator.core.policy import ExitCode
from orchestrator.core.settings import ApiSettings
from orchestrator.engine.drain import GRACE
from tests.kit.home import enter
from tests.kit.hosts import JOB, Shell, host

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
SYSTEMD = DEPLOY / "systemd"
KUBERNETES = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
PROGRAM = "/opt/orchestrator/bin/orchestrator"

ENDS_WITHIN: Final = (ApiSettings().timeout + GRACE) * 1.5
"""How long a run may take after SIGTERM: a create in flight and downloads, with some room."""

NEEDS_PERSON: Final = {ExitCode.FINDINGS, ExitCode.BAD_INPUT, ExitCode.BUG, ExitCode.DISK}


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    """A host with a config, on which nothing has run yet."""
    with host(enter(tmp_path, monkeypatch)) as made:
        yield made


def test_every_file_is_named_in_the_document() -> None:
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    for path in DEPLOY.rglob("*"):
        if path.is_file():
            assert f"../{path.relative_to(ROOT)})" in text, path


# --- cron -----------------------------------------------------------------------------------------


def cron_commands() -> list[str]:
    lines = (DEPLOY / "crontab").read_text(encoding="utf-8").splitlines()
    fields = [line.split(maxsplit=5) for line in lines if re.match(r"[\d*]", line)]
    for *times, command in fields:
        assert all(re.fullmatch(r"[\d*,/-]+", time) for time in times)
        assert not re.search(r"(?<!\\)%", command), "cron ends the line there"
    return [command for *_, command in fields]


def test_the_lines_of_the_crontab_say_nothing_while_all_is_well(shell: Shell) -> None:
    collect, backup = cron_commands()
    (shell.home / "secrets.sh").touch(0o600)
    for name in ("nightly", "backfill"):
        (shell.home / f"{name}.yaml").write_text(JOB.replace("END", "2026-02-01"), "utf-8")
    assert shell.type(collect) == ""
    assert shell.type(backup) == ""
    assert (shell.host / "backup" / "ledger.db").is_file()
    assert (shell.host / "backup" / "reports" / "manifest.jsonl").is_file()
    assert shell.place.bought() == 1

    (shell.home / "nightly.yaml").write_text("accounts: []", "utf-8")
    assert shell.type(f"set +e; {collect}") == shell.mapped(
        "orchestrator: exit code 2, see /srv/reports/run.log\n"
    )
    assert "nightly.yaml:1" in (shell.home / "run.log").read_text("utf-8")


def test_a_mail_comes_for_what_needs_a_person_alone() -> None:
    collect, _ = cron_commands()
    quiet = re.search(r"case \$code in ([\d|]+)\)", collect)
    assert quiet
    assert set(quiet[1].split("|")) == {
        str(int(code)) for code in (ExitCode.DONE, ExitCode.LOCKED, ExitCode.UNFINISHED)
    }


def test_logrotate_names_the_log_that_cron_writes() -> None:
    text = (DEPLOY / "logrotate").read_text(encoding="utf-8")
    (block,) = re.findall(r"(?ms)^(/\S+) \{\n(.*?)^\}$", text)
    path, lines = block
    (log,) = re.findall(r">> (\S+)", cron_commands()[0])
    assert path == f"/srv/reports/{log}"
    names = {line.split()[0] for line in lines.splitlines()}
    assert {"su", "create", "rotate", "compress", "delaycompress", "missingok"} <= names
    assert "copytruncate" not in names  # would lose what is written meanwhile


# --- systemd --------------------------------------------------------------------------------------


def unit(name: str, section: str) -> dict[str, list[str]]:
    """The keys of a section, each with all its values."""
    values: dict[str, list[str]] = {}
    current = ""
    for line in (SYSTEMD / name).read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            current = line.strip("[]")
        elif current == section and "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            values.setdefault(key, []).append(value)
    return values


@pytest.fixture
def units(tmp_path: Path) -> list[str]:
    """Service and timer with a program that this machine has."""
    folder = tmp_path / "units"
    folder.mkdir()
    for path in (*SYSTEMD.glob("*.service"), *SYSTEMD.glob("*.timer")):
        text = path.read_text(encoding="utf-8").replace(PROGRAM, shutil.which("true") or "")
        (folder / path.name).write_text(text, "utf-8")
    return sorted(map(str, folder.iterdir()))


needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"
)


@needs_systemd
def test_systemd_finds_nothing_wrong_with_the_units(units: list[str]) -> None:
    result = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units],
        capture_output=True,
        text=True,
        check=False,
    )
    mine = [line for line in result.stderr.splitlines() if "orchestrator" in line]
    assert (result.returncode, mine) == (0, [])


@needs_systemd
def test_systemd_calls_the_service_well_protected(units: list[str]) -> None:
    service = next(path for path in units if path.endswith(".service"))
    result = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=20", service],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout[-300:]


def test_the_service_has_time_to_stop_and_tells_failures_from_the_rest() -> None:
    service = unit("orchestrator.service", "Service")
    assert timedelta(seconds=int(service["TimeoutStopSec"][0])) >= ENDS_WITHIN
    codes = {ExitCode(int(code)) for code in service["SuccessExitStatus"][0].split()}
    assert codes == {ExitCode.UNFINISHED, ExitCode.LOCKED, ExitCode.TERMINATED}
    assert not codes & NEEDS_PERSON
    users = (SYSTEMD / "orchestrator.sysusers.conf").read_text(encoding="utf-8")
    assert re.search(rf"(?m)^u {service['User'][0]} ", users)


def test_the_command_of_the_service_collects_with_its_config(shell: Shell) -> None:
    service = unit("orchestrator.service", "Service")
    config = (SYSTEMD / "config.yaml").read_text(encoding="utf-8")
    name, _, _ = service["LoadCredential"][0].partition(":")
    assert f"/run/credentials/orchestrator.service/{name}" in config
    assert config.count(f"/var/lib/{service['StateDirectory'][0]}/") == 2
    folders = {
        "/run/credentials/orchestrator.service": shell.host / "secrets",
        "/var/lib/orchestrator": shell.host / "data",
    }
    config = prepared(shell, config, folders, {name: shell.place.simulator.api_secret})
    (shell.home / "config.yaml").write_text(config, "utf-8")
    (shell.home / "nightly.yaml").write_text(JOB.replace("END", "2026-02-01"), "utf-8")
    shell.type(service["ExecStart"][0])
    assert (shell.host / "data" / "reports" / "manifest.jsonl").is_file()


def prepared(shell: Shell, config: str, folders: dict[str, Path], secrets: dict[str, str]) -> str:
    """A config for the simulator with folders of the test, which have been made."""
    for meant, folder in folders.items():
        folder.mkdir(exist_ok=True)
        config = config.replace(meant, str(folder))
    for name, secret in secrets.items():
        (shell.host / "secrets" / name).write_text(secret, "utf-8")
    return f"api: {{base_url: '{shell.place.simulator.base_url}'}}\n{config}"


# --- containers -----------------------------------------------------------------------------------


def instructions() -> list[tuple[str, str]]:
    text = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    text = re.sub(r"(?m)^#.*\n", "", text).replace("\\\n", " ")
    return [
        (name, rest)
        for line in text.splitlines()
        if line
        for name, _, rest in [line.partition(" ")]
    ]


def test_the_image_starts_the_program_without_root_and_without_a_shell() -> None:
    names = [name for name, _ in instructions()]
    last_from = len(names) - names[::-1].index("FROM")
    of_last_stage = dict(instructions()[last_from:])
    user, _, group = of_last_stage["USER"].partition(":")
    assert int(user) > 0
    assert int(group) > 0
    assert json.loads(of_last_stage["ENTRYPOINT"]) == [PROGRAM]
    assert json.loads(of_last_stage["CMD"]) == ["--help"]
    assert of_last_stage["STOPSIGNAL"] == "SIGTERM"


def test_the_image_is_built_from_files_that_there_are_and_that_docker_may_see() -> None:
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text(encoding="utf-8").split()
    sources = [
        source
        for name, rest in instructions()
        if name == "COPY" and not rest.startswith("--from")
        for source in rest.split()[:-1]
    ]
    assert sources
    for source in sources:
        assert (ROOT / source).exists()
        assert f"!{source}" in ignored
    (locked,) = [rest for name, rest in instructions() if "--require-hashes" in rest]
    for file in re.findall(r"--requirement (\S+)", locked):
        assert (ROOT / file).is_file()


def documents(path: Path) -> dict[str, Any]:
    """The objects of a manifest by their kind."""
    return {each["kind"]: each for each in yaml.safe_load_all(path.read_text(encoding="utf-8"))}


def job_of(manifest: dict[str, Any]) -> dict[str, Any]:
    """What is said of the job, of a CronJob too."""
    cron = manifest.get("CronJob")
    job = cron["spec"]["jobTemplate"] if cron else manifest["Job"]
    spec: dict[str, Any] = job["spec"]
    return spec


@pytest.mark.parametrize("path", KUBERNETES, ids=lambda path: path.stem)
def test_a_pod_has_time_to_stop_and_may_change_nothing_but_its_data(path: Path) -> None:
    pod = job_of(documents(path))["template"]["spec"]
    assert timedelta(seconds=pod["terminationGracePeriodSeconds"]) >= ENDS_WITHIN
    assert pod["restartPolicy"] == "Never"
    assert pod["automountServiceAccountToken"] is False
    security = pod["securityContext"]
    user = dict(instructions())["USER"]
    assert user == f"{security['runAsUser']}:{security['runAsGroup']}"
    assert security["runAsNonRoot"] is True
    (container,) = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    mounted = {mount["name"]: mount for mount in container["volumeMounts"]}
    assert set(mounted) == {volume["name"] for volume in pod["volumes"]}
    assert {name for name, mount in mounted.items() if not mount.get("readOnly")} == {"data", "tmp"}


@pytest.mark.parametrize("path", KUBERNETES, ids=lambda path: path.stem)
def test_what_needs_a_person_is_not_tried_again_and_the_rest_is(path: Path) -> None:
    job = job_of(documents(path))
    disruption, exit_codes = job["podFailurePolicy"]["rules"]
    assert disruption["action"] == "Ignore"
    assert exit_codes["action"] == ("FailIndex" if "completionMode" in job else "FailJob")
    assert set(exit_codes["onExitCodes"]["values"]) == {int(code) for code in NEEDS_PERSON}
    assert int(job.get("backoffLimitPerIndex", job.get("backoffLimit", 0))) > 0
    assert (
        exit_codes["onExitCodes"]["containerName"]
        == job["template"]["spec"]["containers"][0]["name"]
    )


def test_a_night_ends_by_itself_before_kubernetes_ends_it() -> None:
    manifest = documents(DEPLOY / "kubernetes" / "cronjob.yaml")
    assert manifest["CronJob"]["spec"]["concurrencyPolicy"] == "Forbid"
    job = job_of(manifest)
    pod = job["template"]["spec"]
    args = pod["containers"][0]["args"]
    deadline = re.fullmatch(r"(\d+)h", args[args.index("--deadline") + 1])
    assert deadline
    grace = pod["terminationGracePeriodSeconds"]
    assert int(deadline[1]) * 3600 + grace < job["activeDeadlineSeconds"] < 24 * 3600


@pytest.mark.parametrize(
    ("path", "index"),
    [(path, index) for path in KUBERNETES for index in ("0", "1")[: 1 + ("index" in path.stem)]],
    ids=lambda value: value if isinstance(value, str) else value.stem,
)
def test_a_pod_collects_with_its_config(shell: Shell, path: Path, index: str) -> None:
    """As Kubernetes lays them out: links to files in a folder of another name."""
    manifest = documents(path)
    pod = job_of(manifest)["template"]["spec"]
    folders = {f"/{name}": shell.host / name for name in ("config", "secrets", "data")}
    simulator = shell.place.simulator
    secrets = {
        name: simulator.api_key if name.endswith("key") else simulator.api_secret
        for name in re.findall(r"file:/secrets/([\w.]+)", str(manifest["ConfigMap"]["data"]))
    }
    for name, text in manifest["ConfigMap"]["data"].items():
        content = prepared(shell, text, folders, secrets) if "config" in name else text
        (shell.host / "config" / "..data").mkdir(exist_ok=True)
        (shell.host / "config" / "..data" / name).write_text(content, "utf-8")
        (shell.host / "config" / name).symlink_to(f"..data/{name}")
    command = shlex.join(["orchestrator", *pod["containers"][0]["args"]])
    command = command.replace("$(JOB_COMPLETION_INDEX)", index)
    shell.type(command.replace("/config/", f"{shell.host}/config/").replace("'", ""))
    assert (shell.host / "data" / "reports" / "manifest.jsonl").is_file()
