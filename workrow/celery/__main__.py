"""``python -m workrow.celery``."""

from workrow.celery.commands import main

if __name__ == "__main__":
    main(prog_name="python -m workrow.celery")
