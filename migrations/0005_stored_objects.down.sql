-- Takes 0005_stored_objects back: what providers have stored is reached by nobody any more.
drop table stored_objects;

delete from schema_migrations where name = '0005_stored_objects';
