"""The refusals of the API: problem objects (RFC 7807) with the texts of its definition."""

from typing import Any, Final

_GENERAL: Final = "https://developer.nexmo.com/api-errors#"
_REPORTS: Final = "https://developer.nexmo.com/api-errors/reports#"
_PARAMETERS: Final = _REPORTS + "invalid-request-parameters"
_INSTANCE: Final = "f94b4e56604e07e5e5ad5a7228618f81"


class Refused(Exception):
    """The API refuses a call: an HTTP status, a problem object, and headers."""

    def __init__(
        self,
        status: int,
        kind: str,
        title: str,
        detail: str,
        *,
        invalid: list[tuple[str, str]] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(f"{status} {title}: {detail}")
        self.status = status
        self.problem: dict[str, Any] = {
            "type": kind,
            "title": title,
            "detail": detail,
            "instance": _INSTANCE,
        }
        if invalid:
            self.problem["invalid_parameters"] = [
                {"name": name, "reason": reason} for name, reason in invalid
            ]
        self.headers = headers or {}


def malformed_json() -> Refused:
    """400: the body cannot be read."""
    return Refused(400, _GENERAL + "invalid-json", "Malformed JSON", "Malformed JSON payload.")


def bad_query(name: str, reason: str) -> Refused:
    """400: a query parameter of the list call."""
    title = "Invalid request parameter"
    return Refused(400, _PARAMETERS, title, f"{title}.", invalid=[(name, reason)])


def unauthorized() -> Refused:
    """401."""
    detail = "You did not provide correct credentials."
    headers = {"WWW-Authenticate": 'Basic realm="Reports API"'}
    return Refused(401, _GENERAL + "unauthorized", "Unauthorized", detail, headers=headers)


def forbidden() -> Refused:
    """403: the account is not one of the key's."""
    detail = "User not authorized to query the requested data."
    return Refused(403, _GENERAL + "forbidden", "Forbidden", detail)


def no_report(request_id: str) -> Refused:
    """404: the report was never created, is too old, or is another key's."""
    detail = f"Report {request_id} does not exist, or you do not have access."
    return Refused(404, _GENERAL + "not-found", "Invalid report ID", detail)


def no_file() -> Refused:
    """404: there is no such file, or no longer."""
    return Refused(404, _GENERAL + "not-found", "Not found", "The file does not exist.")


def link_over(status: int) -> Refused:
    """A signed link that is no longer valid."""
    return Refused(status, "about:blank", "Request has expired", "The link is no longer valid.")


def no_such_call(method: str, path: str) -> Refused:
    """404: there is no such endpoint."""
    return Refused(404, _GENERAL + "not-found", "Not found", f"No such resource: {method} {path}")


def already_final() -> Refused:
    """409: the report has ended, so it cannot be cancelled."""
    states = "`SUCCESS`, `TRUNCATED`, `FAILED` or `ABORTED`"
    detail = f"The job is already in a terminated state such as {states}."
    return Refused(409, _REPORTS + "invalid-abort-operation", "Invalid Abort Operation", detail)


def unprocessable(invalid: list[tuple[str, str]]) -> Refused:
    """422: parameters, each with its reason."""
    title = "Unprocessable entity"
    return Refused(422, _PARAMETERS, title, f"{title}.", invalid=invalid)


def too_fast(status: int = 429, headers: dict[str, str] | None = None) -> Refused:
    """429 (in one source 403): the key asks too often; clients tell it by the type."""
    detail = "You have exceeded the rate limit of this API."
    return Refused(status, _GENERAL + "rate-limit", "Too Many Requests", detail, headers=headers)


def too_many_open(kind: str) -> Refused:
    """429: the key has too many open reports. Not documented, so `kind` is a setting."""
    where = _GENERAL if kind == "rate-limit" else _REPORTS
    detail = "The number of reports that are pending or processing has reached its limit."
    return Refused(429, where + kind, "Too Many Requests", detail)


def server_error(status: int, headers: dict[str, str] | None = None) -> Refused:
    """5xx."""
    detail = "An error occurred on our side. Please try again."
    return Refused(status, _GENERAL + "internal-error", "Internal Error", detail, headers=headers)
