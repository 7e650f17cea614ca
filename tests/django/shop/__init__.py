"""The app of a Django project that tests use."""
