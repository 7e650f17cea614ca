"""An app of the project's own: ``WORKROW = {"APP": "tests.django.shop.jobs.app"}``."""

from workrow.django import App

app = App(max_crashes=7)
