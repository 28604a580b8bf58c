"""Reads a file of faults, YAML or JSON, and reports every mistake with its line.

::

    seed: 7
    faults:
      - {at: create, do: refuse, status: 429, retry_after: 3, every: 10}
      - {at: report, do: outcome, status: FAILED, probability: 0.02}
"""

from pathlib import Path
from typing import Any, Final

import yaml

from orchestrator.errors import InputError, Mistake
from orchestrator.simulator.faults.model import Fault, Faults, WrongFault

_SIZE_BYTES_MAX: Final = 1 << 20  # Far more than a file of faults needs.
_DEPTH_MAX: Final = 16  # Levels of nesting; a fault needs 4.

_OPENING: Final = (
    yaml.BlockSequenceStartToken,
    yaml.BlockMappingStartToken,
    yaml.FlowSequenceStartToken,
    yaml.FlowMappingStartToken,
)
_CLOSING: Final = (yaml.BlockEndToken, yaml.FlowSequenceEndToken, yaml.FlowMappingEndToken)


def load_faults(path: Path) -> Faults:
    """The faults of a file, which is a list, or a mapping with `faults` and `seed`.

    Raises:
        InputError: every mistake in it, each with its place.
    """
    reading = _Reading(str(path))
    try:
        with path.open("rb") as file:
            raw = file.read(_SIZE_BYTES_MAX + 1)
        if len(raw) > _SIZE_BYTES_MAX:
            raise reading.refusal("the file is larger than 1 MiB")
        text = raw.decode()
        reading.scan(text)
        root = yaml.compose(text, yaml.SafeLoader)
    except OSError as error:
        raise reading.refusal(f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise reading.refusal("is not UTF-8") from None
    except yaml.YAMLError as error:
        # The place that PyYAML names, but not its message, which differs between versions.
        mark = getattr(error, "problem_mark", None)
        raise reading.refusal("cannot be read as YAML here", mark, "check this line") from None
    faults = reading.document(root)
    if reading.mistakes:
        raise InputError(reading.mistakes)
    return faults


class _Reading:
    """Reads one file and collects its mistakes."""

    def __init__(self, file: str) -> None:
        self._file = file
        self.mistakes: list[Mistake] = []

    def scan(self, text: str) -> None:
        """Refuses YAML whose reading costs more than its size.

        Raises:
            InputError: an alias, or a depth that no fault needs.
            yaml.YAMLError: it is not YAML.
        """
        depth = 0
        for token in yaml.scan(text, yaml.SafeLoader):
            if isinstance(token, yaml.AliasToken):
                raise self.refusal("YAML aliases are not read here")
            depth += isinstance(token, _OPENING) - isinstance(token, _CLOSING)
            if depth > _DEPTH_MAX:
                raise self.refusal(f"is nested deeper than {_DEPTH_MAX} levels", token.start_mark)

    def refusal(self, reason: str, mark: Any = None, remedy: str = "") -> InputError:
        """The error of a file that cannot be read as a whole."""
        return InputError([self._mistake(mark, "", reason, remedy)])

    def _mistake(self, mark: Any, key: str, reason: str, remedy: str) -> Mistake:
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        return Mistake(self._file, line, column, key, reason, remedy)

    def _wrong(self, node: yaml.Node, key: str, reason: str, remedy: str = "") -> None:
        self.mistakes.append(self._mistake(node.start_mark, key, reason, remedy))

    def document(self, root: yaml.Node | None) -> Faults:
        if root is None:
            return Faults()
        seed = 0
        listed: yaml.Node | None = root
        if isinstance(root, yaml.MappingNode):
            listed = None
            for key, value in root.value:
                if key.value == "faults":
                    listed = value
                elif key.value == "seed":
                    seed = self._seed(value)
                else:
                    self._wrong(key, str(key.value), "no such key", "use faults and seed")
        if listed is None:
            return Faults((), seed)
        if not isinstance(listed, yaml.SequenceNode):
            self._wrong(listed, "faults", "must be a list")
            return Faults()
        faults = [self._fault(node, f"faults[{n}]") for n, node in enumerate(listed.value)]
        return Faults(tuple(fault for fault in faults if fault), seed)

    def _seed(self, node: yaml.Node) -> int:
        seed = _plain("seed", node)
        if isinstance(seed, int) and not isinstance(seed, bool):
            return seed
        self._wrong(node, "seed", "must be a whole number")
        return 0

    def _fault(self, node: yaml.Node, place: str) -> Fault | None:
        if not isinstance(node, yaml.MappingNode):
            self._wrong(node, place, "must be a mapping", "such as {at: create, do: reset}")
            return None
        values = {str(key.value): value for key, value in node.value}
        for needed in ("at", "do"):
            if needed not in values:
                self._wrong(node, f"{place}.{needed}", "is missing")
                return None
        try:
            return Fault.of(**{key: _plain(key, value) for key, value in values.items()})
        except WrongFault as error:
            at = values.get(error.key, node)
            key = f"{place}.{error.key}" if error.key else place
            self._wrong(at, key, error.reason, error.remedy)
        return None


def _plain(key: str, node: yaml.Node) -> Any:
    """The value of a node; accounts and products are text even where they look like numbers."""
    if isinstance(node, yaml.ScalarNode) and key in ("account", "product"):
        return str(node.value)
    loader = yaml.SafeLoader("")
    try:
        return loader.construct_document(node)
    except (yaml.YAMLError, ValueError):
        return getattr(node, "value", None)
    finally:
        loader.dispose()
