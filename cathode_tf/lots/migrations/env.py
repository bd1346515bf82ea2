"""What Alembic runs: the revisions, on the connection that `database` hands over."""

from alembic import context

from cathode_tf.lots.schema import metadata

context.configure(
    connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True
)
context.run_migrations()
