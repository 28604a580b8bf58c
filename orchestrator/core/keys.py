"""How a key of the config file is declared: by an annotation of the field that it fills.

The type of the field says how the text is read (a duration, a whole number, one of an enum's
words); a `Form` where the type alone does not say it. `config.keys` makes the reader, the check of
bounds and the JSON Schema of it, so that a key stands in one place.
"""

from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import Generic, TypeVar

T = TypeVar("T")


class Form(Enum):
    """How the text of a key is written, where the type of its field does not say it."""

    BY_TYPE = "by type"
    BASE_URL = "the address of an API"
    PUBLIC_URL = "an address without a query"
    LISTEN_ADDRESS = "HOST:PORT"
    PATH = "a path, relative to the file"
    PATH_OR_STORE = "a path, or the address of an object store"
    CERTIFICATES = "a path to a file with certificates; the field gets their text"
    REFERENCE = "a reference to a secret, or the secret itself"
    COMMAND = "a command line, taken apart as a shell would; no shell runs it"
    TEXT = "any text"
    COLUMNS = "rules for columns: {drop: […], hash: […]}, or such rules by product"
    PROXY = "a reference to the address of a proxy, or the address itself"
    RECORDS = "a number of records"
    SIZE = "a number of bytes, such as 200 MB"
    RECORDS_BY_PERIOD = "a number of records, or one for each period"
    MONEY_BY_PERIOD = "an amount of money, or one for each period"


@dataclass(frozen=True, slots=True)
class Key:
    """A key of the config file."""

    help: str  # one sentence for editors; what it is, and its unit
    form: Form = Form.BY_TYPE
    least: float | timedelta | None = None  # the least value; None: the least that its type takes
    # the largest value; None: the largest that its type takes
    most: float | timedelta | None = None
    name: str = ""  # as the file has it; empty: as the field is called
    written: str = ""  # the default as text, where the field itself has none


@dataclass(frozen=True, slots=True)
class ByPeriod(Generic[T]):
    """A bound for a run, for a day and for a month of UTC; None: there is none."""

    run: T | None = None
    day: T | None = None
    month: T | None = None
