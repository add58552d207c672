"""What a caller may choose for one turn: JSON-able, shown by Studio as a form."""

from pydantic import BaseModel, ConfigDict, Field

from graph.limits import DEFAULT_COLLECTION


class TurnContext(BaseModel):
    """Knobs of one turn; None takes the setting.

    Unknown keys are ignored because LangGraph clients pass their own (`thread_id` and the like).
    """

    model_config = ConfigDict(extra="ignore")

    collections: list[str] = Field(default_factory=lambda: [DEFAULT_COLLECTION], description="Collections to search.")
    top_k: int | None = Field(default=None, ge=1, le=20, description="Passages given to the model.")
    filter: dict[str, str | list[str]] = Field(
        default_factory=dict,
        description="Document metadata that a passage must have: key -> value or values.",
    )
