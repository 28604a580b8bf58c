"""All statements of the ledger, against one SQLite connection: `Store`.

Synchronous, and unaware of transactions: `SqliteLedger` runs these inside one, `open_reader` as
they are. The statements themselves are in the modules of the tables.
"""

from orchestrator.core.lifecycle import State
from orchestrator.core.model import Series, SeriesState
from orchestrator.ledger.events import Identity
from orchestrator.ledger.history import Histories
from orchestrator.ledger.open_reports import OpenReports
from orchestrator.ledger.report_writer import ReportWriter
from orchestrator.ledger.windows import ResolutionTable


class Store(OpenReports, ReportWriter, ResolutionTable, Identity):
    """All tables of one connection; its readers know it as `LedgerReader`.

    Not safe for use by two threads at once.
    """

    def series_state(self, job: str, series: Series) -> SeriesState:
        if self.find(series) is None:
            return SeriesState()
        return SeriesState(
            resolution=self.resolution(job, series),
            had=self.had(series),
            failures=self.failures(series),
            given_up=self.given_up(series),
            disputed=tuple(self.reports(series, (State.DISPUTED,))),
            open=self.number_open(series),
        )

    def histories(self) -> Histories:
        return Histories(self.db)

    def rolled_back(self) -> None:
        """Must be called when a transaction was rolled back: what was read in it may be void."""
        self.changes.unsure = True
        self.forget_read()
