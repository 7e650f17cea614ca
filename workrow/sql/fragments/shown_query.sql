-- Another session's statement without the values that stand in it.
regexp_replace(session.query, '''([^'']|'''')*(''|$)', '''...''', 'g')
