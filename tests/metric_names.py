"""Every metric of the service, as it is shown."""

from service.metrics import Metrics


def all_metrics() -> Metrics:
    """Return the service's metrics, none left out."""
    metrics = Metrics()
    metrics.watch_net(lambda: 0, lambda: 0)
    metrics.watch_readers(lambda: 0)
    metrics.tell_of_build("0")
    return metrics


def families() -> dict[str, tuple[str, tuple[str, ...]]]:
    """Return each family's type and labels by its name, which of a counter ends in `_total`."""
    found = {}
    for collector in set(all_metrics().registry._collector_to_names):
        for family in collector.collect():
            name = f"{family.name}_total" if family.type == "counter" else family.name
            found[name] = family.type, tuple(getattr(collector, "_labelnames", ()))
    return found


def series() -> set[str]:
    """Return the name of every series that a query may name."""
    names = set()
    for name, (kind, _) in families().items():
        names |= (
            {f"{name}_{part}" for part in ("bucket", "count", "sum")}
            if kind == "histogram"
            else {name}
        )
    return names
