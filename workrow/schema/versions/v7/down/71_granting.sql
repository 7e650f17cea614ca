DROP FUNCTION workrow.revoke_v1, workrow.grant_v1, workrow.check_owner_v1, workrow.privileges_v1
