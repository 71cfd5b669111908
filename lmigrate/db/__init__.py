"""The records: the only package that imports SQLAlchemy."""
