"""Alembic's environment: works on the connection that `core.database.migrate` hands over."""

from alembic import context

from fablewright.migrations import metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection, target_metadata=metadata(),
    compare_type=True, compare_server_default=True, transaction_per_migration=False,
)  # fmt: skip
with context.begin_transaction():
    context.run_migrations()
