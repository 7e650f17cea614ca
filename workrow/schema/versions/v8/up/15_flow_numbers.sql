-- Numbers of nodes that come to be while their workflow runs: taken without its lock, and above those of its beginning.
CREATE SEQUENCE workrow.flow_numbers AS integer MINVALUE 10000000 CYCLE
