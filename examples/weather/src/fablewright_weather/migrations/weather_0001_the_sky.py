"""The sky over a world."""

import sqlalchemy as sa
from alembic import op

revision = "weather_0001"
down_revision = None
# A branch of its own beside the core's history, which must have come at least so far.
branch_labels = ("weather",)
depends_on = "0001"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "weather",
        sa.Column("world_id", sa.UUID(), nullable=False),
        sa.Column("sky", sa.Text(), nullable=False),
        sa.Column("until_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("sky IN ('clear', 'cloudy', 'rain', 'storm')", name=op.f("ck_weather_sky_known")),
        sa.ForeignKeyConstraint(
            ["world_id"], ["worlds.id"], name=op.f("fk_weather_world_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("world_id", name=op.f("pk_weather")),
    )


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("weather")
