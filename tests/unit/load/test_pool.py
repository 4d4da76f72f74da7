"""Idle users and waiting arrivals: none is lost, the last one idle goes first."""

from __future__ import annotations

import gevent

from escalade.load.pool import UserPool


def users(pool: UserPool[int], count: int) -> tuple[list[gevent.Greenlet], list[tuple[int, int]]]:
    """Start users that note (user, arrival) and are idle again at once."""
    served: list[tuple[int, int]] = []

    def serve(user: int) -> None:
        while True:
            served.append((user, pool.take()))

    greenlets = [gevent.spawn(serve, user) for user in range(count)]
    gevent.sleep(0)
    return greenlets, served


def test_the_user_that_became_idle_last_goes_first() -> None:
    pool: UserPool[int] = UserPool()
    greenlets, served = users(pool, 3)

    for arrival in (10, 11):
        pool.put(arrival)
        gevent.sleep(0)

    assert served == [(2, 10), (2, 11)]
    assert pool.idle == 3
    gevent.killall(greenlets)


def test_arrivals_without_a_user_wait_in_order() -> None:
    pool: UserPool[int] = UserPool()
    for arrival in range(5):
        pool.put(arrival)
    assert (pool.backlog, pool.backlog_max) == (5, 5)

    greenlets, served = users(pool, 1)

    assert served == [(0, arrival) for arrival in range(5)]
    assert (pool.backlog, pool.backlog_max) == (0, 5)
    gevent.killall(greenlets)


def test_a_killed_idle_user_is_no_longer_given_arrivals() -> None:
    pool: UserPool[int] = UserPool()
    greenlets, served = users(pool, 2)
    greenlets[1].kill()

    pool.put(7)
    gevent.sleep(0)

    assert served == [(0, 7)]
    gevent.killall(greenlets)


def test_an_arrival_in_the_hands_of_a_dying_user_goes_to_the_next() -> None:
    pool: UserPool[int] = UserPool()
    greenlets, served = users(pool, 2)
    pool.put(7)  # handed to user 1, which has not run yet
    greenlets[1].kill(block=False)
    gevent.sleep(0.01)

    assert [arrival for _, arrival in served] == [7]
    gevent.killall(greenlets)
