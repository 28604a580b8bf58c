"""A secret that stands where it should not is refused, and never shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orchestrator.cli.main import call

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "Tr0ub4dor-And-3"
JOB = "accounts: [abcd1234]\nproducts: [VERIFY-API]\nwindows: [yesterday]\n"

CREDENTIALS = {
    "a block": f"\n  default:\n    api_key: abcd1234\n    api_secret: |\n      {SECRET}\n",
    "an invisible space": f"{{default: {{api_key: abcd1234, api_secret: '{SECRET}\u200b'}}}}",
    "a space behind": f"{{default: {{api_key: abcd1234, api_secret: '{SECRET} '}}}}",
    "a tag": f"{{default: {{api_key: abcd1234, api_secret: !{SECRET} }}}}",
    "an anchor": f"{{default: {{api_key: abcd1234, api_secret: &{SECRET} }}}}",
    "an alias": f"{{default: {{api_key: abcd1234, api_secret: *{SECRET} }}}}",
    "NUL": f'{{default: {{api_key: abcd1234, api_secret: "{SECRET}\\0"}}}}',
    "very long": f"{{default: {{api_key: abcd1234, api_secret: '{SECRET * 100}'}}}}",
    "a key": f"{{default: {{api_key: abcd1234, {SECRET}: }}}}",
    "a key with a value": f"{{default: {{api_key: abcd1234, {SECRET}: x}}}}",
    "a file": f"{{default: {{api_key: abcd1234, api_secret: 'file:{SECRET}'}}}}",
    "the key": f"{{default: {{api_key: '{SECRET}', api_secret: x}}}}",
    "both in one": f"{{default: {{api_key: 'abcd1234:{SECRET}', api_secret: x}}}}",
    "half a variable": f"{{default: {{api_key: abcd1234, api_secret: '${{X}}{SECRET}'}}}}",
    "a list": f"{{default: {{api_key: abcd1234, api_secret: [{SECRET}]}}}}",
    "a mapping": f"{{default: {{api_key: abcd1234, api_secret: {{{SECRET}: x}}}}}}",
    "a name": f"{{{SECRET}: }}",
    "a name with a text": f"{{{SECRET}: x}}",
    "a name that is none": f"{{'{SECRET} x': {{api_key: abcd1234}}}}",
    "a name without its keys": f"{{{SECRET}: {{x: y}}, default: {{api_key: abcd1234}}}}",
    "a name that stands twice": f"{{{SECRET}: x, {SECRET}: y}}",
    "a key without a name": f"{{api_key: abcd1234, {SECRET}: x}}",
    "a key in two lines": f"\n  api_key: abcd1234\n  ? {SECRET}\n",
    "a variable": "{default: {api_key: abcd1234, api_secret: '${Tr0ub4dorAnd3}'}}",
    "the key as a variable": "{default: {api_key: '${Tr0ub4dorAnd3}', api_secret: x}}",
    "no quote at the end": f"{{default: {{api_key: abcd1234, api_secret: '{SECRET}}}}}",
}


@pytest.mark.parametrize("credentials", CREDENTIALS.values(), ids=CREDENTIALS)
def test_a_secret_in_the_wrong_place_is_not_shown(
    tmp_path: Path, credentials: str, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "config.yaml"
    config.touch(mode=0o600)
    config.write_text(f"api: {{base_url: 'http://127.0.0.1:9'}}\ncredentials: {credentials}\n")
    job = tmp_path / "job.yaml"
    job.write_text(JOB)
    assert call(["run", str(job)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "credentials" in said.err or "config.yaml:" in said.err
    assert SECRET not in said.err
    assert "Tr0ub" not in said.err


@pytest.mark.parametrize("secret", ["{{ vault.secret }}", "$VONAGE_API_SECRET", "$(cat secret)"])
def test_a_secret_that_nothing_has_filled_in_is_refused(
    tmp_path: Path, secret: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before: it was sent as it stood, and the API refused the key."""
    config = tmp_path / "config.yaml"
    config.touch(mode=0o600)
    config.write_text(f"credentials: {{default: {{api_key: abcd1234, api_secret: '{secret}'}}}}\n")
    (tmp_path / "job.yaml").write_text(JOB)
    assert call(["plan", str(tmp_path / "job.yaml")]) == 2
    said = capsys.readouterr().err
    assert "api_secret: is a placeholder that nothing has filled in; write ${NAME}" in said
    assert secret not in said


@pytest.mark.parametrize("secret", ["$Abc123def", "x{{y}}Z9", "%Abc1%", "<Abc12>", "A$B"])
def test_a_secret_may_have_signs_of_placeholders(
    tmp_path: Path, secret: str, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "config.yaml"
    config.touch(mode=0o600)
    config.write_text(f"credentials: {{default: {{api_key: abcd1234, api_secret: '{secret}'}}}}\n")
    (tmp_path / "job.yaml").write_text(JOB)
    assert call(["plan", str(tmp_path / "job.yaml")]) == 0
    assert "placeholder" not in capsys.readouterr().err


def test_a_secret_given_as_the_config_is_not_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "job.yaml").write_text(JOB)
    assert call(["run", str(tmp_path / "job.yaml"), "--config", SECRET]) == 2
    said = capsys.readouterr()
    assert "--config: there is no such file; check the path" in said.err
    assert SECRET not in said.err


def test_a_secret_as_the_name_of_credentials_in_a_job_is_not_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ORCHESTRATOR_CONFIG", raising=False)
    (tmp_path / "job.yaml").write_text(f"{JOB}credentials: {SECRET}\n")
    assert call(["run", str(tmp_path / "job.yaml")]) == 2
    said = capsys.readouterr()
    assert "credentials: the config has no credentials of this name; it has default" in said.err
    assert SECRET not in said.err


@pytest.mark.parametrize("written", [f"'{SECRET} '", f'"{SECRET}\\0"', f"'{SECRET}\u200b'"])
def test_a_secret_that_is_no_name_of_credentials_in_a_job_is_not_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], written: str
) -> None:
    (tmp_path / "job.yaml").write_text(f"{JOB}credentials: {written}\n")
    assert call(["run", str(tmp_path / "job.yaml")]) == 2
    said = capsys.readouterr()
    assert "credentials: is not a name" in said.err
    assert SECRET not in said.err
