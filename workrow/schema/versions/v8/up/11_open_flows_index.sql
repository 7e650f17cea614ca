CREATE INDEX flows_open_idx ON workrow.flows (state) WHERE state IN ('stopping', 'cancelling', 'compensating')
