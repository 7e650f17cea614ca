"""The app for a process that Django has not set up: ``workrow --app=workrow.django.standalone.app worker``.

``DJANGO_SETTINGS_MODULE`` says which project is meant.
"""

import django

from workrow.django.own_app import the_app

django.setup()
app = the_app()
