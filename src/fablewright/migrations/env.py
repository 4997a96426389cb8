"""Alembic's environment: works on the connection that `core.database.migrate` hands over."""

from alembic import context
from sqlalchemy import MetaData

from fablewright.core.tables import NAMING

connection = context.config.attributes["connection"]
# What the models say is not asked here: a revision says itself what it does. Only names are made as theirs are.
context.configure(
    connection=connection, target_metadata=MetaData(naming_convention=NAMING), transaction_per_migration=False
)
with context.begin_transaction():
    context.run_migrations()
