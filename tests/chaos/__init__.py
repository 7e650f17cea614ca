"""The chaos suite: producers and workers under a seeded sequence of faults, and a judge who reads the books."""
