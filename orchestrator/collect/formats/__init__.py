"""The formats in which files are published, one module each, found by their names.

A new format is one line in `core.settings.Format` (its name, which the config takes and with which
its files end) and one module here: ``csv.zst`` is `csv_zst`, whose `FORMAT` is the `OutputFormat`.
"""

from functools import cache
from importlib import import_module

from orchestrator.collect.formats.base import OutputFormat
from orchestrator.core.settings import Format


@cache
def output_format(name: Format) -> OutputFormat:
    """The format of a name. A module is imported only when its format is used.

    Raises:
        InputError: it needs a library that is not installed.
    """
    module = import_module(f"{__name__}.{name.value.replace('.', '_')}")
    output: OutputFormat = module.FORMAT
    return output
