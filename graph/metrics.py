"""What a process counts about its models; whoever serves metrics reads them from prometheus_client's registry."""

from prometheus_client import Counter, Gauge

upstream_open = Gauge(
    "citestream_upstream_open",
    "Streams of models that are open now, the waiting between tries included.",
    multiprocess_mode="livesum",
)
model_pieces = Counter(
    "citestream_model_pieces",
    "Pieces of text that models sent, by their way: past LangChain (`short`), through it with all that a read brought "
    "(`joined`), or through it each by itself (`single`).",
    ["way"],
)
model_requests = Counter(
    "citestream_model_requests",
    "Streams asked for where CITESTREAM_OPENAI_CLIENT is fast, by what sent them: `aiohttp` alone, or `openai`.",
    ["client"],
)
