-- Which roles have what kind of rights, for upgrades to give them what is new.
CREATE TABLE workrow.granted_roles (
    role_name text,
    kind text,
    PRIMARY KEY (role_name, kind)
)
