"""Each brings the schema to a version; see workrow.django.operations."""
