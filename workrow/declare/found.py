"""Where a value stands in the modules that are imported."""

import sys

MAINS = ("__main__", "__mp_main__")


def found_as(value: object) -> str | None:
    """``module:attribute`` of it, as far as it is one."""
    for name, module in sorted(sys.modules.items(), key=lambda item: item[0] in MAINS):
        for attribute, each in list(getattr(module, "__dict__", {}).items()):
            if each is value:
                return f"{name}:{attribute}"
    return None
