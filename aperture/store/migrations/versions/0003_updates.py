"""Updates over the network: each camera's update key, and how far a command is.

Cameras that are there already get their key with their next token.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go on from 0002."""
    op.add_column("camera", sa.Column("update_key", sa.String(length=64), nullable=True))
    op.add_column("command", sa.Column("progress", sa.Integer(), nullable=True))


def downgrade() -> None:
    """Go back to 0002."""
    op.drop_column("command", "progress")
    op.drop_column("camera", "update_key")
