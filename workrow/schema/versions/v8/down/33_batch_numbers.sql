DROP SEQUENCE workrow.batch_numbers
