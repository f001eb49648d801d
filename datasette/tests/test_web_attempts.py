"""Limit password guessing."""

from cclake_web.team.attempts import FORGOTTEN_S, FREE, LONGEST_S, MOST, Attempts


class Clock:
    """A clock that a test sets."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def guess(attempts: Attempts, times: int, name: str = "ben", at: str = "a") -> None:
    for _ in range(times):
        attempts.record(name, at, is_right=False)


def test_each_wait_is_twice_as_long_up_to_a_limit() -> None:
    clock = Clock()
    attempts = Attempts(clock)
    guess(attempts, FREE - 1)
    assert attempts.wait("ben", "a") == 0
    waits = []
    for _ in range(9):
        guess(attempts, 1)
        waits.append(attempts.wait("ben", "a"))
        clock.now += waits[-1]
        assert attempts.wait("ben", "a") == 0
    assert waits == [15, 30, 60, 120, 240, 480, LONGEST_S, LONGEST_S, LONGEST_S]


def test_other_names_and_addresses_do_not_wait() -> None:
    attempts = Attempts(Clock())
    guess(attempts, FREE)
    assert attempts.wait("ben", "a") > 0
    assert attempts.wait("ben", "b") == attempts.wait("anna", "a") == 0


def test_a_right_password_and_time_end_the_waits() -> None:
    clock = Clock()
    attempts = Attempts(clock)
    guess(attempts, FREE)
    attempts.record("ben", "a", is_right=True)
    guess(attempts, FREE - 1)
    assert attempts.wait("ben", "a") == 0
    guess(attempts, 9)
    clock.now += FORGOTTEN_S + 1
    guess(attempts, 1)
    assert attempts.wait("ben", "a") == 0


def test_memory_is_limited() -> None:
    attempts = Attempts(Clock())
    guess(attempts, FREE, "first")
    for number in range(MOST):
        guess(attempts, 1, f"{'x' * 1000}{number}", f"{number}")
    assert len(attempts._wrong) == MOST
    assert attempts.wait("first", "a") == 0
    assert max(len(name) for name, _ in attempts._wrong) <= 100
