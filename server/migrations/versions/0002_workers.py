"""Who answers a turn, what a turn replaces, and what a thread remembers of turns that are too old."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table of server processes and the columns."""
    op.create_table(
        "workers",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("host", sa.String, nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("seen_at", sa.Float, nullable=False),
    )
    op.add_column("threads", sa.Column("version", sa.Integer, nullable=False, server_default="0"))
    op.add_column("threads", sa.Column("summary", sa.Text))
    op.add_column("threads", sa.Column("summary_position", sa.Integer))
    op.add_column("turns", sa.Column("worker", sa.String))
    op.add_column("turns", sa.Column("replaces", sa.Integer))
    running = sa.text("status = 'running'")
    op.create_index("turns_running", "turns", ["status"], sqlite_where=running, postgresql_where=running)


def downgrade() -> None:
    """Take them out again."""
    op.drop_index("turns_running", "turns")
    op.drop_column("turns", "replaces")
    op.drop_column("turns", "worker")
    op.drop_column("threads", "summary_position")
    op.drop_column("threads", "summary")
    op.drop_column("threads", "version")
    op.drop_table("workers")
