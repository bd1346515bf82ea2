"""What Alembic runs: the revisions, on the connection that `database` hands over."""

from alembic import context

from cathode_tf.lots.schema import metadata

# Alembic sets it while it runs this; whoever merely imports the module changes nothing.
config = getattr(context, "config", None)
if config is not None:
    context.configure(
        connection=config.attributes["connection"], target_metadata=metadata, render_as_batch=True
    )
    context.run_migrations()
