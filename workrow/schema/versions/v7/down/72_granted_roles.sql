DROP TABLE workrow.granted_roles
