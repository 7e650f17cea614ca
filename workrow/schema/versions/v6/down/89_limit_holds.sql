DROP TABLE workrow.limit_holds
