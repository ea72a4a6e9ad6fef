"""Run by Alembic for each upgrade, on the connection and in the transaction that `storage.migrate` gives it."""

from alembic import context

from coordinator.storage.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=False,
)
context.run_migrations()
