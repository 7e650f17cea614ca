"""Everything there is, of version 8."""

from django.db.migrations import Migration as _Migration

from workrow.django.operations import Schema, Views


class Migration(_Migration):
    """From nothing, or from procrastinate's tables, which are adopted."""

    initial = True
    operations = (Schema(to=8, back_to=0), Views())
