"""The functions that the demonstration sends away. Each is self-contained."""

# ruff: noqa: PLC0415 - a function that is sent away imports what it needs inside


def nuclei_risk(rows: list[list[float]]) -> list[float]:
    """Rate each patient by the mean of the worst radius, concavity and points."""
    import math

    def logistic(value: float) -> float:
        return 1 / (1 + math.exp(-value))

    worst = (20, 26, 27)
    return [logistic(sum(row[place] for place in worst) / len(worst)) for row in rows]


def collatz_steps(start: int) -> int:
    """Count the steps from a number to one."""
    steps = 0
    while start != 1:
        start = 3 * start + 1 if start % 2 else start // 2
        steps += 1
    return steps


def count_primes(limit: int) -> int:
    """Count the primes below a limit, slowly."""
    return sum(
        all(number % divisor for divisor in range(2, int(number**0.5) + 1))
        for number in range(2, limit)
    )
