"""Arrivals are handed out early, and leave when they are planned, never sooner."""

from __future__ import annotations

from typing import TYPE_CHECKING

import gevent
import pytest

from escalade.load.arrival import Arrival
from escalade.load.clock import now
from escalade.load.dispatch import LEAD_SECONDS, Dispatcher
from escalade.load.records import Records

if TYPE_CHECKING:
    from collections.abc import Callable

    from escalade.load.rows import PlannedRows


@pytest.fixture
def arrivals(rows_at: Callable[..., PlannedRows]) -> Callable[..., list[Arrival]]:
    """Make arrivals that are planned so many seconds from now."""

    def make(*ahead: float) -> list[Arrival]:
        records, start = Records(rows_at(ahead)), now()
        return [Arrival(records, row, start + at, 0, 8, 4) for row, at in enumerate(ahead)]

    return make


class Users:
    """Users that send what they are handed, and note when they were."""

    def __init__(self, qps: float = 20.0) -> None:
        self.handed_at: list[float] = []
        self.dispatcher = Dispatcher(self.hand_out, qps)

    def hand_out(self, arrival: Arrival) -> None:
        self.handed_at.append(now())
        gevent.spawn(self.send, arrival)

    def send(self, arrival: Arrival) -> None:
        arrival.sending()
        self.dispatcher.learn(arrival)


class BlindUsers(Users):
    """Users whose client sends without passing `sending`."""

    def send(self, arrival: Arrival) -> None:
        arrival.records.send(arrival.row, now())
        self.dispatcher.learn(arrival)


def follow(users: Users, planned: list[Arrival]) -> None:
    users.dispatcher.follow(iter(planned), planned[-1].planned + 0.01)


def test_what_can_be_held_is_handed_out_before_and_leaves_after_its_time(
    arrivals: Callable[..., list[Arrival]],
) -> None:
    users, planned = Users(), arrivals(0.02, 0.06, 0.10, 0.14)

    follow(users, planned)

    assert users.handed_at[0] >= planned[0].planned  # nothing is known of the client yet
    early = [a.planned - at for a, at in zip(planned[1:], users.handed_at[1:], strict=True)]
    assert all(lead <= LEAD_SECONDS for lead in early)
    assert max(early) > 0
    sent = planned[0].records.sent
    assert all(at >= a.planned for a, at in zip(planned, sent, strict=True))


def test_a_client_that_can_not_be_held_gets_its_arrivals_no_sooner_than_planned(
    arrivals: Callable[..., list[Arrival]],
) -> None:
    users, planned = BlindUsers(), arrivals(0.01, 0.03, 0.05)

    follow(users, planned)

    assert all(at >= a.planned for a, at in zip(planned, users.handed_at, strict=True))
    assert users.dispatcher.lead == 0


def test_one_unheld_send_ends_the_lead_for_good(arrivals: Callable[..., list[Arrival]]) -> None:
    users, (held, unheld, after) = Users(), arrivals(0.0, 0.0, 0.0)
    for arrival in (held, after):
        arrival.release()

    users.send(held)
    assert users.dispatcher.lead == LEAD_SECONDS
    BlindUsers.send(users, unheld)
    users.send(after)

    assert users.dispatcher.lead == 0


def test_an_arrival_that_sent_nothing_teaches_nothing(
    arrivals: Callable[..., list[Arrival]],
) -> None:
    users, (arrival,) = Users(), arrivals(0.0)

    users.dispatcher.learn(arrival)

    assert users.dispatcher.lead == 0
    assert arrival.was_held is False


def test_several_requests_of_one_arrival_wait_together(
    arrivals: Callable[..., list[Arrival]],
) -> None:
    (arrival,) = arrivals(0.02)
    users = [gevent.spawn(arrival.sending) for _ in range(3)]
    gevent.sleep(0.005)
    assert not any(user.dead for user in users)

    arrival.release()

    assert len(gevent.joinall(users, timeout=1)) == 3


def test_arrivals_closer_than_the_lead_all_leave_and_none_early(
    arrivals: Callable[..., list[Arrival]],
) -> None:
    users, planned = Users(1000), arrivals(*(0.01 + k / 1000 for k in range(50)))

    follow(users, planned)

    sent = list(planned[0].records.sent)
    assert len(users.handed_at) == 50
    assert all(at >= a.planned for a, at in zip(planned, sent, strict=True))
