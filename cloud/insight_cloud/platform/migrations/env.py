# SPDX-License-Identifier: Apache-2.0
"""What Alembic runs: revisions, inside the transaction that `platform.migration` opened."""

from alembic import context

from insight_cloud.platform.schema import Row

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Row.metadata,
    render_as_batch=True,
    user_module_prefix="",  # write UtcTime() as script.py.mako imports it
)
with context.begin_transaction():
    context.run_migrations()
