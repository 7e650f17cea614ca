-- Whoever may ask for the time in production may ask for it here.
GRANT USAGE ON SCHEMA workrow_testing TO PUBLIC
