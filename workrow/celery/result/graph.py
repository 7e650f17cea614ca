"""Which result follows which."""

from collections import deque
from collections.abc import Iterator
from functools import cached_property
from typing import Any

from workrow.celery.exceptions import IncompleteStream


class DependencyGraph:
    """Results, each with those of the tasks that its task has called."""

    def __init__(self) -> None:
        self._children: dict[Any, list[Any]] = {}

    def add_arc(self, node: Any) -> None:
        self._children.setdefault(node, [])

    def add_edge(self, node: Any, child: Any) -> None:
        self._children[node].append(child)

    def edges(self) -> list[Any]:
        """Those that have children."""
        return [node for node, children in self._children.items() if children]

    def valency_of(self, node: Any) -> int:
        """How many come after it."""
        return sum(1 + self.valency_of(child) for child in self._children[node])

    def items(self) -> Any:
        return self._children.items()

    def __getitem__(self, node: Any) -> list[Any]:
        return self._children[node]

    def __contains__(self, node: Any) -> bool:
        return node in self._children

    def __iter__(self) -> Iterator[Any]:
        return iter(self._children)

    def __len__(self) -> int:
        return len(self._children)

    def __str__(self) -> str:
        return "\n".join(self._lines(node, "") for node in self._children)

    def _lines(self, node: Any, indent: str) -> str:
        own = f"{indent}{node}({self.valency_of(node)})"
        return "\n".join([own, *(self._lines(child, indent + " " * 5) for child in self._children[node])])


class Dependencies:
    """What a result tells of those of the calls that its task has made."""

    def iterdeps(self, intermediate: bool = False) -> Iterator[tuple[Any, Any]]:
        """Pairs of a result and one of its children, beginning with None and itself.

        Args:
            intermediate: what has not ended may be among them; its children are not known yet.

        Raises:
            IncompleteStream: something has not ended.
        """
        waiting: deque[tuple[Any, Any]] = deque([(None, self)])
        while waiting:
            parent, node = waiting.popleft()
            yield parent, node
            if node.ready():
                waiting.extend((node, child) for child in node.children or ())
            elif not intermediate:
                raise IncompleteStream(f"{node} has not ended")

    def collect(self, intermediate: bool = False, **options: Any) -> Iterator[tuple[Any, Any]]:
        """Each result of `iterdeps` and what it comes to; `options` are those of ``get``."""
        for _, node in self.iterdeps(intermediate):
            yield node, node.get(**options)

    def get_leaf(self) -> Any:
        """What the last of `collect` comes to."""
        *_, (_, value) = self.collect()
        return value

    def build_graph(self, intermediate: bool = False) -> DependencyGraph:
        """`iterdeps` as a graph."""
        graph = DependencyGraph()
        for parent, node in self.iterdeps(intermediate):
            graph.add_arc(node)
            if parent is not None:
                graph.add_edge(parent, node)
        return graph

    @cached_property
    def graph(self) -> DependencyGraph:
        return self.build_graph()
