"""Writes the metrics of the last run in the text format of Prometheus, for its node exporter.

https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from orchestrator.notify.outcomes import Ending, Past

HELP: Final[Mapping[str, str]] = {
    "last_run_timestamp_seconds": "When the last run ended.",
    "last_success_timestamp_seconds": "When a run last ended with exit code 0.",
    "last_run_exit_code": "Exit code of the last run.",
    "last_run_duration_seconds": "How long the last run took.",
    "last_run_requests": "Requests of the last run to the API.",
    "last_run_collected_reports": "Reports that the last run collected.",
    "last_run_collected_records": "Records that the last run collected.",
    "last_run_collected_bytes": "Bytes of the files that the last run collected.",
    "collected_reports": "Collected reports of the jobs, in all runs.",
    "collected_records": "Collected records of the jobs, in all runs.",
    "collected_bytes": "Bytes of the collected files of the jobs, in all runs.",
    "last_run_price": "Price of the records that the last run collected.",
    "collected_price": "Price of the collected records of the jobs, in all runs.",
    "owed_seconds": "Time of a series that is not collected yet, all its series together.",
    "oldest_owed_timestamp_seconds": "The oldest moment that is not collected yet.",
    "reports": "Reports of a job that are not collected, by state.",
    "windows_given_up": "Windows of a job that no run asks for by itself.",
    "needs_person": "Whether something waits for a person.",
}
"""What each metric says, by its name without ``orchestrator_``. All are gauges."""


def text_of(ending: Ending, past: Past) -> str:
    """The whole file.

    Args:
        ending: of the run that has just ended; of one that did not begin there is little.
        past: what is remembered, this run included.
    """
    lines: list[str] = []
    for name, values in samples(ending, past).items():
        full = f"orchestrator_{name}"
        lines += [f"# HELP {full} {HELP[name]}", f"# TYPE {full} gauge"]
        lines += [f"{full}{_labels(labels)} {value:.10g}" for labels, value in values]
    return "\n".join(lines) + "\n"


_Samples = list[tuple[dict[str, str], float]]


def samples(ending: Ending, past: Past) -> dict[str, _Samples]:
    """Every metric of a run that has ended: its labels and value, by name; see `HELP`."""
    summary = ending.summary
    found: dict[str, _Samples] = {
        "last_run_timestamp_seconds": [({}, ending.at.timestamp())],
        "last_run_exit_code": [({}, int(ending.code))],
    }
    if past.last_success is not None:
        found["last_success_timestamp_seconds"] = [({}, past.last_success.timestamp())]
    if "seconds" in summary:
        found["last_run_duration_seconds"] = [({}, summary["seconds"])]
    if "collected" not in summary:
        return found
    found["last_run_requests"] = [({}, summary["requests"])]
    for kind, key in (("reports", "reports"), ("records", "rows"), ("bytes", "bytes")):
        found[f"last_run_collected_{kind}"] = [({}, summary["collected"][key])]
        found[f"collected_{kind}"] = [({}, summary["in_all"][key])]
    if price := summary.get("price"):
        labels = {"currency": price["currency"]} if price["currency"] else {}
        found["last_run_price"] = [(labels, float(price["collected"]))]
        found["collected_price"] = [(labels, float(price["in_all"]))]
    found["needs_person"] = [({}, float(summary["needs_person"]))]
    return found | _by_job(summary)


def _by_job(summary: Mapping[str, Any]) -> dict[str, _Samples]:
    """What is not collected yet, by job; jobs of which all is collected are there with zeros."""
    owed: dict[str, float] = dict.fromkeys(summary["jobs"], 0.0)
    given_up: dict[str, float] = dict.fromkeys(summary["jobs"], 0.0)
    oldest: dict[str, float] = {}
    states: defaultdict[tuple[str, str], int] = defaultdict(int)
    for series in summary["unsettled"]:
        job = series["job"]
        for window in series["owed"]:
            start, end = _moment(window["start"]), _moment(window["end"])
            owed[job] = owed.get(job, 0.0) + end - start
            oldest[job] = min(start, oldest.get(job, start))
        given_up[job] = given_up.get(job, 0.0) + len(series["given_up"])
        for state, number in series["open"].items():
            states[job, state] += number
        states[job, "disputed"] += len(series["disputed"])
    return {
        "owed_seconds": [({"job": job}, value) for job, value in owed.items()],
        "oldest_owed_timestamp_seconds": [({"job": job}, value) for job, value in oldest.items()],
        "windows_given_up": [({"job": job}, value) for job, value in given_up.items()],
        "reports": [
            ({"job": job, "state": state}, value) for (job, state), value in sorted(states.items())
        ],
    }


def _moment(text: str) -> float:
    return datetime.fromisoformat(text).astimezone(UTC).timestamp()


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def names() -> Iterator[str]:
    """The names of all metrics, as the documentation lists them."""
    return (f"orchestrator_{name}" for name in HELP)
