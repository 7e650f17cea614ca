DROP TABLE workrow.installed_objects
