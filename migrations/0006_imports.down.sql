-- Takes 0006_imports back. No data goes but the time of the last import.
alter table installation drop column imported_at;

delete from schema_migrations where name = '0006_imports';
