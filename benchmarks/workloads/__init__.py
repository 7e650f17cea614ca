"""The workloads, one module each: what they measure is in their first line."""
