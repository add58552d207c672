"""Metrics, for Prometheus."""

from fastapi import APIRouter
from starlette.responses import Response

from server.metrics import render

router = APIRouter(tags=["health"])


@router.get("/metrics", response_class=Response)
def show_metrics() -> Response:
    """What an operator watches, in Prometheus's text format."""
    body, media_type = render()
    return Response(body, media_type=media_type)
