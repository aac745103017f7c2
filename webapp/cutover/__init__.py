"""The move from a document store to PostgreSQL: read a source, plan, carry over, prove."""
