"""Writes what a notification says: the summary as JSON, for Slack or Teams, or own words."""

import socket
from typing import Any, Final

from orchestrator.core.settings import NotificationTarget, Outcome, Template
from orchestrator.notify.outcomes import Ending

_MOST_CHARACTERS: Final = 3000  # Slack takes 3,000 characters in a section, Teams some more.

_HEADS: Final = {
    Outcome.SUCCESS: "all is collected",
    Outcome.UNFINISHED: "not finished; the next run goes on",
    Outcome.FAILURE: "needs you",
}


def fields_of(ending: Ending) -> dict[str, str]:
    """The values of `core.notifications.FIELDS`, as text."""
    summary = ending.summary
    collected = summary.get("collected") or {}
    return {
        "jobs": ", ".join(summary.get("jobs", ())) or "(no job)",
        "outcome": ending.outcome.value,
        "exit_code": str(int(ending.code)),
        "exit_word": ending.code.name.lower(),
        "why": "; ".join(summary.get("why", ())),
        "reports": str(collected.get("reports", 0)),
        "records": str(collected.get("rows", 0)),
        "requests": str(summary.get("requests", 0)),
        "seconds": f"{summary.get('seconds', 0):.0f}",
        "needs_person": "yes" if summary.get("needs_person") else "no",
        "unfinished": "yes" if summary.get("unfinished") else "no",
        "host": socket.gethostname(),
        "summary": "\n".join(ending.lines),
    }


def headline(ending: Ending) -> str:
    """One line: which job on which machine, and how it ended."""
    fields = fields_of(ending)
    head = _HEADS[ending.outcome]
    return f"{fields['jobs']} on {fields['host']}: {head} (exit code {fields['exit_code']})"


def text_of(target: NotificationTarget, ending: Ending) -> str:
    """The words of a message, at most so long as every receiver takes them."""
    if target.text:
        text = target.text.format_map(fields_of(ending))
    else:
        text = "\n".join([headline(ending), *ending.lines])
    return text if len(text) <= _MOST_CHARACTERS else f"{text[: _MOST_CHARACTERS - 1]}…"


def payload(target: NotificationTarget, ending: Ending) -> dict[str, Any]:
    """The JSON that a webhook gets."""
    match target.template:
        case Template.JSON:
            words = {"text": text_of(target, ending)} if target.text else {}
            return {"outcome": ending.outcome.value, **ending.summary, **words}
        case Template.SLACK:
            # Three characters are its own: https://api.slack.com/reference/surfaces/formatting
            text = text_of(target, ending).replace("&", "&amp;")
            return {"text": text.replace("<", "&lt;").replace(">", "&gt;")}
        case Template.TEAMS:
            return _teams(text_of(target, ending))


def _teams(text: str) -> dict[str, Any]:
    """An adaptive card in a message, as workflows of Teams take it."""
    first, _, rest = text.partition("\n")
    body = [{"type": "TextBlock", "text": first, "weight": "bolder", "wrap": True}]
    if rest:
        body.append({"type": "TextBlock", "text": rest.replace("\n", "\n\n"), "wrap": True})
    card = {"type": "AdaptiveCard", "version": "1.4", "body": body}
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "content": card}
    return {"type": "message", "attachments": [attachment]}
