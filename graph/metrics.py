"""What a process counts about its models; whoever serves metrics reads them from prometheus_client's registry."""

from prometheus_client import Gauge

upstream_open = Gauge(
    "citestream_upstream_open",
    "Streams of models that are open now, the waiting between tries included.",
    multiprocess_mode="livesum",
)
