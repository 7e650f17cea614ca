DROP TABLE workrow.hidden_arguments
