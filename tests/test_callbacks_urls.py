"""The book of callback addresses: who rings, how often, and what came too early."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from orchestrator.api import callback_urls
from orchestrator.api.callback_urls import CallbackUrls

if TYPE_CHECKING:
    from collections.abc import Callable

PUBLIC = "https://hooks.example.com/vonage"


class Bell:
    """Counts how often it rang."""

    def __init__(self) -> None:
        self.rung = 0

    def __call__(self) -> None:
        self.rung += 1


class Seconds:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
def book(seconds: Seconds) -> CallbackUrls:
    return CallbackUrls(PUBLIC, time=seconds)


def token_of(url: str) -> str:
    return url.rpartition("/")[2]


def test_an_address_is_the_public_url_and_a_token_of_192_random_bits(book: CallbackUrls) -> None:
    first, second = book.new_address(), book.new_address()
    assert re.fullmatch(re.escape(PUBLIC) + "/[A-Za-z0-9_-]{32}", first)
    assert first != second
    assert book.given == 2


def test_the_right_token_rings_and_no_other(book: CallbackUrls) -> None:
    mine, other, bell = book.new_address(), book.new_address(), Bell()
    with book.listen(mine, bell):
        assert book.call(token_of(other))
        assert not book.call(token_of(mine)[:-1])
        assert not book.call("\udcff")
        assert bell.rung == 0
        assert book.call(token_of(mine))
        assert bell.rung == 1


def test_who_listens_no_more_is_not_rung_and_late_calls_are_known(book: CallbackUrls) -> None:
    mine, bell = book.new_address(), Bell()
    with book.listen(mine, bell):
        pass
    assert book.call(token_of(mine))
    assert bell.rung == 0


def test_a_call_that_came_before_anybody_listened_rings_at_once_and_once(
    book: CallbackUrls,
) -> None:
    mine, bell = book.new_address(), Bell()
    book.call(token_of(mine))
    book.call(token_of(mine))
    with book.listen(mine, bell):
        assert bell.rung == 1
    with book.listen(mine, bell):
        assert bell.rung == 1


def test_an_address_of_an_earlier_run_rings_once_it_is_listened_at(book: CallbackUrls) -> None:
    bell = Bell()
    assert not book.call("of-last-night")
    with book.listen(f"{PUBLIC}/of-last-night", bell):
        assert bell.rung == 0, "what nobody gave out is not remembered"
        assert book.call("of-last-night")
    assert bell.rung == 1


@pytest.mark.parametrize(
    "url",
    [
        "https://elsewhere.example.com/vonage/token",
        "https://hooks.example.com/token",
        f"{PUBLIC}/",
        PUBLIC,
        f"{PUBLIC}/deeper/token",
        f"{PUBLIC}x/token",
    ],
)
def test_an_address_of_another_receiver_never_rings(book: CallbackUrls, url: str) -> None:
    bell = Bell()
    with book.listen(url, bell):
        assert not book.call("token")
        assert not book.call("")
    assert bell.rung == 0


def test_repeated_calls_ring_three_times_and_then_once_a_second(
    book: CallbackUrls, seconds: Seconds
) -> None:
    mine, bell = book.new_address(), Bell()
    rung = []
    with book.listen(mine, bell):
        for now in (1000.0, 1000.0, 1000.1, 1000.2, 1000.9, 1001.1, 1001.2, 1100.0, 1100.0):
            seconds.now = now
            assert book.call(token_of(mine))
            rung.append(bell.rung)
    assert rung == [1, 2, 3, 3, 3, 4, 4, 5, 6]


def test_all_who_share_an_address_are_rung(book: CallbackUrls) -> None:
    """A job's own callback_url may lie below ours; all its reports have that one address."""
    first, second = Bell(), Bell()
    url = f"{PUBLIC}/shared"
    with book.listen(url, first):
        with book.listen(url, second):
            book.call("shared")
        book.call("shared")
    assert (first.rung, second.rung) == (2, 1)


def test_who_leaves_while_it_is_rung_disturbs_nobody(book: CallbackUrls) -> None:
    bell = Bell()
    url = f"{PUBLIC}/shared"

    def leave() -> None:
        inner.__exit__(None, None, None)

    inner = book.listen(url, leave)
    inner.__enter__()
    with book.listen(url, bell):
        book.call("shared")
    assert bell.rung == 1


def test_only_so_many_idle_addresses_are_remembered(
    book: CallbackUrls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(callback_urls, "_REMEMBERED", 3)
    listened, bell = book.new_address(), Bell()
    with book.listen(listened, bell):
        tokens = [token_of(book.new_address()) for _ in range(5)]
        assert [book.call(token) for token in tokens] == [False, False, True, True, True]
        assert book.call(token_of(listened))
    assert bell.rung == 1


def fails() -> None:
    raise RuntimeError("a bug")


@pytest.mark.parametrize("ring", [fails])
def test_a_listener_that_fails_at_once_listens_no_more(
    book: CallbackUrls, ring: Callable[[], None]
) -> None:
    mine, bell = book.new_address(), Bell()
    book.call(token_of(mine))
    with pytest.raises(RuntimeError, match="a bug"), book.listen(mine, ring):
        pass
    with book.listen(mine, bell):
        book.call(token_of(mine))
    assert bell.rung == 1
