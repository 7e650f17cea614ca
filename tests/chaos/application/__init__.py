"""`make chaos APPLICATION=1`: the application's own traffic under faults, and the books of the demo.

`traffic` plays the acts of `examples.demo` again and again, and `hooks` those of webhooks; `play` has all processes run
and hit; `judge` reads the books.
"""
