"""Migrations as the SQL that PostgreSQL gets, and what of it is dangerous on tables with rows and users."""
