"""What can be run and read: `python -m examples.demo` and `python -m examples.dev`."""
