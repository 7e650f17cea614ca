"""What Celery has beside its own: here what tests need."""
