"""From a call to its row, in somebody's transaction."""
