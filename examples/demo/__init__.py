"""`make demo`: a real service, real workers and real mail, and a check of the books at the end.

In the order of what happens: `people` reads the CSV file, `database` makes a new database, `services` starts the mail
server (`smtp_sink`), the HTTP service and two workers as child `processes`. `story` has everybody registered
(`registration`) and kills a worker meanwhile, whose jobs the others rescue. `books` compares what the database, the
service's answers and the maildir say, and `report` shows it.
"""
