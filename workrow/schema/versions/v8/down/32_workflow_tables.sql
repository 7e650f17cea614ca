DROP TABLE workrow.flow_nodes, workrow.flows
