"""What the classes of all tables share: the connection, and notes of what was written by it.

`ledger.store.Store` is all of them in one; each extends those whose statements it needs.
"""

import sqlite3

from orchestrator.core.ledger_records import LedgerChanges


class Table:
    """A table of one connection. Calls without a docstring: see `LedgerReader` and `Ledger`.

    Attributes:
        db: whose transactions others begin and end.
        changes: what was written since whoever ends the transactions took it last.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.db = connection
        self.changes = LedgerChanges()
