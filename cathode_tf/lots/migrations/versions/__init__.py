"""One module a revision of the tables, in Alembic's form; what a revision did is never edited afterwards."""
