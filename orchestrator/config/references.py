"""Reads references to secrets in the config file, and resolves its paths. Looks up no secret."""

import os
import pwd
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from orchestrator.config import parsers
from orchestrator.config.parsers import InvalidValue
from orchestrator.config.proxy_address import KEY, NO_PROXY, parse_proxy
from orchestrator.core.settings import Secret

FILE: Final = "file:"
COMMAND: Final = "command:"

API_KEY: Final = re.compile(r"[A-Za-z0-9_-]{1,12}")
"""The vendor's keys have 8 letters or digits, its secrets 16 and more."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where what is read stands."""

    base: Path  # where relative paths begin
    env: Mapping[str, str]  # the environment, for `~`
    file: Path | None = None  # the config; None where there is none

    def absolute(self, written: str) -> Path:
        """The place that a path of a config means.

        Raises:
            InvalidValue: it begins at a home directory that is not known.
        """
        if written == "~" or written.startswith("~/"):
            written = _home(self.env) + written[1:]
        elif written.startswith("~"):
            raise InvalidValue(
                "begins at the home directory of another user", "write the whole path"
            )
        return Path(os.path.normpath(self.base.absolute() / written))

    def home_conflict(self) -> str | None:
        """Says that HOME and the password database name different home directories; else None.

        A service, or ``sudo``, may then find another place behind ``~`` than this call does.
        """
        here, registered = self.env.get("HOME", ""), _home_of_user()
        if not here.startswith("/") or not registered:
            return None
        if os.path.realpath(here) == os.path.realpath(registered):
            return None
        return (
            f"~ is {here}, as HOME says, but the password database says {registered}: a call with "
            "another HOME uses another place"
        )

    def anchored(self, reference: str) -> str:
        """A reference whose path, if it names a file or a program by its path, is absolute.

        Raises:
            InvalidValue: as `absolute`.
        """
        if reference.startswith(FILE):
            return f"{FILE}{self.absolute(reference.removeprefix(FILE).strip())}"
        if reference.startswith(COMMAND):
            program, *arguments = shlex.split(reference.removeprefix(COMMAND))
            if "/" in program:
                program = str(self.absolute(program))
            return COMMAND + shlex.join([program, *arguments])
        return reference

    def refuse_if_open(self, what: str) -> None:
        """Refuses text that is secret where others may read the config in which it stands.

        Raises:
            InvalidValue: they may.
        """
        if self.file is not None and self.file.stat().st_mode & 0o077:
            raise InvalidValue(
                f"{what} here, and others may read this file",
                "write ${NAME} or file:PATH instead, or make the file private:"
                f" chmod 600 {self.file.name}",
            )


def _home(env: Mapping[str, str]) -> str:
    """The home directory: a service may have no HOME, the password database knows it then."""
    if home := env.get("HOME"):
        if not home.startswith("/"):
            what = "begins with ~, but HOME is no absolute path"
            raise InvalidValue(what, "set HOME to one, or write the whole path")
        return home
    home = _home_of_user()
    if not home.startswith("/"):
        what = "begins with ~, but this user has no home directory: HOME is not set, and the "
        what += "password database has none"
        raise InvalidValue(what, "set HOME, or write the whole path")
    return home


def _home_of_user() -> str:
    """The home directory that the password database knows; empty if it does not know the user."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_dir
    except KeyError:
        return ""


def is_literal(reference: str) -> bool:
    """Whether it is the text itself: no variable, no file and no command."""
    return parsers.variable(reference) is None and not reference.startswith((FILE, COMMAND))


def reference(value: object) -> str:
    """A reference to a secret, or the secret itself: whatever is wrong with it, it is not shown."""
    try:
        word = parsers.text(value)
    except InvalidValue:
        if not isinstance(value, str) or not value:
            raise
        what = "holds a line break, an invisible character, or more than 1000 characters"
        raise InvalidValue(what, "keep the bare text alone, on one line, in quotes") from None
    if word.startswith(FILE) and not word.removeprefix(FILE).strip():
        raise InvalidValue("file: names no file", "write file:PATH")
    if word.startswith(COMMAND):
        _check_command(word.removeprefix(COMMAND))
    if "${" in word and parsers.variable(word) is None:
        # The text may hold a part of the secret, so it is not shown.
        raise InvalidValue("mixes a variable with other text", "write ${NAME} and nothing else")
    if parsers.is_unfilled(word):
        what = "is a placeholder that nothing has filled in"
        raise InvalidValue(what, "write ${NAME}, file:PATH or the text itself")
    return word


def _check_command(line: str) -> None:
    if not line.strip():
        raise InvalidValue(
            "command: names no command", "write one such as command:pass show vonage"
        )
    parsers.command_line(line)


def secret_reference(value: object, origin: Origin) -> Secret:
    """As `reference`; the secret itself is refused in a file that others may read."""
    word = reference(value)
    if is_literal(word):
        origin.refuse_if_open("a secret stands")
    return Secret(origin.anchored(word))


def proxy_reference(value: object, origin: Origin) -> Secret:
    """As `reference`, but what stands here as text is the address of a proxy, or ``none``."""
    word = reference(value)
    if is_literal(word) and word != NO_PROXY:
        parse_proxy(word, KEY)
        if "@" in word:
            origin.refuse_if_open("a password stands")
    return Secret(origin.anchored(word))


def key_reference(value: object, origin: Origin) -> str:
    """As `reference`, to an API key; what cannot be one is refused."""
    word = reference(value)
    if is_literal(word) and not API_KEY.fullmatch(word):
        what = "is not an API key (8 letters or digits)"
        raise InvalidValue(what, "copy it from the dashboard; the secret belongs under api_secret")
    return origin.anchored(word)
