"""One job, executed: on the loop, in a thread, in a child process, in a transaction."""
