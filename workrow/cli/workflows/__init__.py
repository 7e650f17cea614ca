"""``workrow workflow``: workflows as they are seen from outside, and what is done to them."""
