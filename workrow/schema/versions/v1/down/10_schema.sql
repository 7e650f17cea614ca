-- Without CASCADE: what others keep in it stops the downgrade instead of vanishing.
DROP SCHEMA workrow
