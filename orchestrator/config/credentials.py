"""Looks up the credentials that a command uses: from variables, files and other programs."""

import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from orchestrator.config import parsers
from orchestrator.config.messages import one_of, shown, suggestion
from orchestrator.config.parsers import InvalidValue
from orchestrator.config.references import API_KEY, COMMAND, FILE
from orchestrator.config.regular_files import open_regular, why_unreadable
from orchestrator.config.secret_commands import output_of
from orchestrator.core.settings import Config, Credentials, Secret
from orchestrator.errors import InputError, Mistake

MAX_SECRET_BYTES: Final = 64 * 1024

_THE_FILE: Final = "the file that this names"
_NO_CONFIG: Final = (
    "set VONAGE_API_KEY and VONAGE_API_SECRET, or write a config.yaml with credentials"
)
_THE_COMMAND: Final = "the command that this names"


class Unavailable(InvalidValue):
    """A reference that leads to nothing usable: what is wrong, and what to do."""


def resolve_credentials(
    config: Config, names: Iterable[str], env: Mapping[str, str]
) -> dict[str, Credentials]:
    """The credentials of these names, in that order, each once; no others are looked up.

    Raises:
        InputError: every one that is missing or unusable, with what to do. Never with a secret.
    """
    file = str(config.path) if config.path else ""
    mistakes: list[Mistake] = []
    resolved: dict[str, Credentials] = {}
    for name in dict.fromkeys(names):
        reference = config.credentials.get(name)
        if reference is None:
            what = f"there are no credentials named {shown(name)}"
            known = one_of(sorted(config.credentials), "and") or "none"
            remedy = suggestion(name, config.credentials, f"the config has {known}")
            mistakes.append(Mistake(file, 0, 0, "credentials", what, remedy))
            continue
        found: dict[str, str] = {}
        pair = {"api_key": reference.api_key, "api_secret": reference.api_secret.reveal()}
        for part, text in pair.items():
            try:
                found[part] = _usable(part, look_up(text, env), text)
            except Unavailable as gone:
                key = f"credentials.{name}.{part}"
                remedy = gone.remedy
                if config.path is None and name == "default":
                    remedy = _NO_CONFIG
                mistakes.append(Mistake(file, 0, 0, key, gone.what, remedy))
        if len(found) == 2:
            resolved[name] = Credentials(name, found["api_key"], Secret(found["api_secret"]))
    mistakes += _contradictions(file, resolved.values())
    if mistakes:
        raise InputError(mistakes)
    return resolved


def look_up(text: str, env: Mapping[str, str]) -> str:
    """What a reference stands for: a variable, a file's or a command's line, or the text itself.

    Raises:
        Unavailable: it is not there, or cannot be read; never with the secret.
    """
    if (variable := parsers.variable(text)) is not None:
        found = env.get(variable, "")
        if not found:
            state = "is empty" if variable in env else "is not set"
            raise Unavailable(f"{_called(variable)} {state}", f"export {_shown(variable)}=…")
        return found
    if text.startswith(FILE):
        return _read(Path(text.removeprefix(FILE)))
    if text.startswith(COMMAND):
        return _run(text.removeprefix(COMMAND), env)
    return text


def _shown(variable: str) -> str:
    """The name of a variable, unless it may be a secret in its place: those have small letters."""
    return variable if variable == variable.upper() else "NAME"


def _called(variable: str) -> str:
    known = _shown(variable) == variable
    return f"the variable {variable}" if known else "the variable that this names"


def _read(path: Path) -> str:
    """The one line of a file; its path is not shown, since a secret may stand in its place."""
    try:
        with open_regular(path) as stream:
            content = stream.read(MAX_SECRET_BYTES + 1)
        text = content.decode()
    except UnicodeDecodeError:
        raise Unavailable(f"{_THE_FILE} is not UTF-8 text", "save it as UTF-8") from None
    except (OSError, ValueError) as error:
        what, remedy = why_unreadable(error, missing="write the secret there")
        raise Unavailable(f"{_THE_FILE} {what}", remedy) from None
    if len(content) > MAX_SECRET_BYTES:
        raise Unavailable(f"{_THE_FILE} is no secret (over 64 kB)", "check the path")
    text = _without_line_end(text)
    if not text:
        raise Unavailable(f"{_THE_FILE} is empty", "write the secret there")
    return text


def _run(line: str, env: Mapping[str, str]) -> str:
    """What a command prints; neither it nor its output is shown."""
    try:
        content = output_of(shlex.split(line), env, MAX_SECRET_BYTES)
        text = _without_line_end(content.decode())
    except InvalidValue as failed:
        raise Unavailable(f"{_THE_COMMAND} {failed.what}", failed.remedy) from None
    except UnicodeDecodeError:
        what = f"{_THE_COMMAND} printed no UTF-8 text"
        raise Unavailable(what, "let it print the secret alone") from None
    if len(content) > MAX_SECRET_BYTES:
        what = f"{_THE_COMMAND} printed no secret (over 64 kB)"
        raise Unavailable(what, "let it print the secret alone")
    if not text:
        raise Unavailable(f"{_THE_COMMAND} printed nothing", "run it in a shell to see why")
    return text


def _without_line_end(text: str) -> str:
    return text.removesuffix("\n").removesuffix("\r")


def _usable(part: str, found: str, reference: str) -> str:
    """The text, if HTTP Basic can carry it; messages name where it is from, never what it is."""
    if (variable := parsers.variable(reference)) is not None:
        source = f"{_called(variable)} holds"
    elif reference.startswith(FILE):
        source = f"{_THE_FILE} holds"
    elif reference.startswith(COMMAND):
        source = f"{_THE_COMMAND} prints"
    else:
        source = "the config holds"
    if not found.isprintable() or found != found.strip():
        what = f"what {source} has spaces, line breaks or control characters around or in it"
        raise Unavailable(what, "keep the bare text alone")
    if part == "api_key" and not API_KEY.fullmatch(found):
        what = f"what {source} is not an API key (8 letters or digits)"
        raise Unavailable(what, "copy it from the dashboard; the secret belongs to api_secret")
    return found


def _contradictions(file: str, resolved: Iterable[Credentials]) -> list[Mistake]:
    by_key: dict[str, Credentials] = {}
    mistakes: list[Mistake] = []
    for credentials in resolved:
        first = by_key.setdefault(credentials.api_key, credentials)
        if first.api_secret != credentials.api_secret:
            what = f"{first.name} and {credentials.name} are one API key with two secrets"
            key = f"credentials.{credentials.name}.api_secret"
            mistakes.append(Mistake(file, 0, 0, key, what, "give both the one that is valid"))
    return mistakes
