"""Statements that read the tables of others."""
