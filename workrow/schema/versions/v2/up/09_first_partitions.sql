SELECT workrow.extend_history_v1()
