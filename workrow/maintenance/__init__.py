"""The loops that keep the tables in order."""
