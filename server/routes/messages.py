"""Messages: what a person thinks of one."""

from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from server.ask import storable
from server.metrics import FEEDBACK
from server.record import Feedback, Score
from server.state import App

router = APIRouter(prefix="/v1/messages", tags=["messages"])

MAX_COMMENT_CHARS = 2_000
Comment = Annotated[
    str, StringConstraints(strip_whitespace=True, max_length=MAX_COMMENT_CHARS), AfterValidator(storable)
]
MessageId = Annotated[str, AfterValidator(storable)]


class GiveFeedback(BaseModel):
    """What a person thinks of an answer, and why."""

    model_config = ConfigDict(extra="forbid", strict=True)

    score: Score = Field(description="1 for a good answer, -1 for a bad one.")
    comment: Comment | None = Field(
        default=None, description=f"Of at most {MAX_COMMENT_CHARS:,} characters; an empty one is none."
    )


@router.post("/{message_id}/feedback")
async def give_feedback(message_id: MessageId, given: GiveFeedback, app: App) -> Feedback:
    """Keep what a person thinks of an answer, in place of what was kept before."""
    feedback: Feedback = {"score": given.score, "comment": given.comment or None}
    if await app.threads.give_feedback(message_id, feedback):
        FEEDBACK.labels(given.score).inc()
    return feedback


@router.delete("/{message_id}/feedback", status_code=204)
async def take_feedback_back(message_id: MessageId, app: App) -> Response:
    """Erase it; without any this changes nothing."""
    await app.threads.take_feedback_back(message_id)
    return Response(status_code=204)
