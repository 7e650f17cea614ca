"""Python values to JSON and back."""
