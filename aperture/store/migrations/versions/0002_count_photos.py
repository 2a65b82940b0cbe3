"""An index that photos are counted from.

Counting rows in the table itself takes seconds where there are a hundred thousand photos and a small computer.
"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go on from 0001."""
    op.create_index("ix_photo_count", "photo", ["camera", "state", "deleted_at_ms"], unique=False)


def downgrade() -> None:
    """Go back to 0001."""
    op.drop_index("ix_photo_count", "photo")
