DROP SEQUENCE workrow.flow_numbers
