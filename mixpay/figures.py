"""Figures that are read when Prometheus asks: a table of what there is, and the samples of one moment.

Names follow the conventions of Prometheus: the unit at the end, `_total` for what only grows. Amounts are in
whole tokens, and ether: floating point, so exact to about 15 digits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from mixpay.parameters import TOKEN

Labels = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Figure:
    """One family of samples."""

    name: str
    text: str
    labels: Labels = ()
    grows: bool = False
    """A counter: since the start of the program."""

    def family(self, samples: Mapping[Labels, float]) -> Metric:
        """The figure as Prometheus takes it."""
        kind = CounterMetricFamily if self.grows else GaugeMetricFamily
        found = kind(self.name.removesuffix("_total"), self.text, labels=self.labels)
        for labels, value in sorted(samples.items()):
            found.add_metric(labels, value)
        return found


@dataclass(slots=True)
class Sheet:
    """Samples of one moment, of the figures in a table by their names."""

    table: Mapping[str, Figure]
    samples: dict[str, dict[Labels, float]] = field(default_factory=dict)

    def put(self, name: str, value: float, *labels: object) -> None:
        """Add a sample. Raises KeyError for a figure that is in no table, ValueError for other labels."""
        figure = self.table[name]
        if len(labels) != len(figure.labels):
            raise ValueError(f"{name} has the labels {figure.labels}")
        self.samples.setdefault(name, {})[tuple(map(str, labels))] = value

    def tokens(self, name: str, amount: int, *labels: object) -> None:
        """Add an amount of smallest units, in tokens (or of wei, in ether)."""
        self.put(name, amount / TOKEN, *labels)

    def families(self) -> Iterator[Metric]:
        """All of them, those without a sample too."""
        return (figure.family(self.samples.get(name, {})) for name, figure in self.table.items())
