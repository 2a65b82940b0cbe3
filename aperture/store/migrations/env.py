"""Alembic's entry: runs the revisions on the connection that `aperture.store.migrate` opened."""

from alembic import context

from aperture.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
