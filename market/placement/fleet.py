"""The live offers in memory: what placement looks at instead of the database.

The database is the truth; this view is rebuilt from it at the start and follows it
after each commit. Whether a node is alive is known only here, and at the other
processes of the market, if there are any.
"""

from collections import Counter

from ledger.statements.kinds import OfferStatement


class Fleet:
    """Live offers by node, when each node was last heard of, and what it holds."""

    def __init__(self) -> None:
        self._offers: dict[str, tuple[OfferStatement, str]] = {}
        self._nodes: set[str] = set()
        self._seen_ms: dict[str, int] = {}
        self._heard_ms: dict[str, int] = {}
        self._jobs: Counter[str] = Counter()

    def replace(
        self,
        *,
        offers: dict[str, tuple[OfferStatement, str]],
        nodes: set[str],
        jobs: Counter[str],
    ) -> None:
        """Take over what was read; other threads see each part change at once.

        Args:
            offers: Live offers with the digests of their statements, by node.
            nodes: All nodes that were ever offered.
            jobs: How many jobs each node holds.
        """
        self._offers, self._nodes, self._jobs = offers, nodes, jobs

    def put(self, offer: OfferStatement, digest: str) -> None:
        """An offer was published; it replaces the node's earlier one."""
        self._nodes.add(offer.node)
        self._offers[offer.node] = (offer, digest)

    def withdraw(self, node: str) -> None:
        """A node's offer was withdrawn."""
        self._offers.pop(node, None)

    def offers(self) -> list[tuple[OfferStatement, str]]:
        """All live offers with the digests of their statements."""
        return list(self._offers.values())

    def know(self, node: str) -> None:
        """A node was offered once, at another process."""
        self._nodes.add(node)

    def knows(self, node: str) -> bool:
        """Whether a node was ever offered; what it holds it may finish."""
        return node in self._nodes

    def seen(self, node: str, now_ms: int) -> None:
        """A node has called."""
        self._seen_ms[node] = self._heard_ms[node] = now_ms

    def take_heard(self) -> dict[str, int]:
        """Which nodes have called since this was last asked, and when."""
        heard, self._heard_ms = self._heard_ms, {}
        # Another thread may still be writing into the old one.
        return dict(heard)

    def told(self, node: str, seen_ms: int) -> None:
        """Another process was called by a node."""
        self._seen_ms[node] = max(seen_ms, self._seen_ms.get(node, 0))

    def greet(self, now_ms: int) -> None:
        """Take every node to be alive that has not been heard of: the market is new."""
        for node in self._nodes:
            self._seen_ms.setdefault(node, now_ms)

    def silent_ms(self, node: str, now_ms: int) -> int:
        """Time since a node was last heard of; since 1970 if never."""
        return now_ms - self._seen_ms.get(node, 0)

    def jobs_of(self, node: str) -> int:
        """Jobs that a node holds."""
        return self._jobs[node]

    def take(self, node: str) -> None:
        """A job was placed on a node."""
        self._jobs[node] += 1

    def give_back(self, node: str) -> None:
        """A job left a node."""
        self._jobs[node] = max(self._jobs[node] - 1, 0)
