"""Threads and their turns."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make both tables."""
    op.create_table(
        "threads",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("owner", sa.String, nullable=False, server_default="local"),
        sa.Column("title", sa.String, nullable=False),
        sa.Column("created_at", sa.String, nullable=False),
        sa.Column("updated_at", sa.String, nullable=False),
    )
    op.create_index("threads_newest", "threads", ["owner", "updated_at", "id"])
    op.create_table(
        "turns",
        sa.Column("position", sa.Integer, primary_key=True),
        sa.Column("run_id", sa.String, nullable=False),
        sa.Column("owner", sa.String, nullable=False, server_default="local"),
        sa.Column("thread_id", sa.String, sa.ForeignKey("threads.id", ondelete="CASCADE"), nullable=False),
        sa.Column("message_id", sa.String, nullable=False, unique=True),
        sa.Column("model", sa.String, nullable=False),
        sa.Column("question", sa.Text, nullable=False),
        sa.Column("query", sa.Text),
        sa.Column("status", sa.String, nullable=False),
        sa.Column("answer", sa.Text, nullable=False),
        sa.Column("sources", sa.JSON),
        sa.Column("citations", sa.JSON, nullable=False),
        sa.Column("statuses", sa.JSON, nullable=False),
        sa.Column("cited", sa.JSON, nullable=False),
        sa.Column("grounding", sa.String),
        sa.Column("usage", sa.JSON),
        sa.Column("timings", sa.JSON),
        sa.Column("error", sa.JSON),
        sa.Column("last_event", sa.Integer, nullable=False),
        sa.Column("created_at", sa.String, nullable=False),
        sa.UniqueConstraint("owner", "run_id", name="turns_run"),
        sqlite_autoincrement=True,
    )
    op.create_index("turns_of_thread", "turns", ["thread_id", "position"])


def downgrade() -> None:
    """Erase all conversations."""
    op.drop_table("turns")
    op.drop_table("threads")
