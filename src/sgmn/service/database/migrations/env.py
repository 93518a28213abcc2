"""Runs migrations on the connection that `migrate.upgrade` passes."""

from alembic import context

from sgmn.service.database.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
)
context.run_migrations()
