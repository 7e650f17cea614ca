"""Connections: what they are, what they hear, how they fail; and the database's clock."""
