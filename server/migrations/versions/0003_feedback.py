"""What a person thinks of an answer."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns."""
    op.add_column("turns", sa.Column("feedback_score", sa.Integer))
    op.add_column("turns", sa.Column("feedback_comment", sa.Text))
    op.add_column("turns", sa.Column("feedback_at", sa.String))


def downgrade() -> None:
    """Take them out again."""
    op.drop_column("turns", "feedback_at")
    op.drop_column("turns", "feedback_comment")
    op.drop_column("turns", "feedback_score")
