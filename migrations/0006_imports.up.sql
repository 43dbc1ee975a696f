-- When an export was last imported: hourly sums that came with it have no events here.

alter table installation add column imported_at timestamptz;

insert into schema_migrations (name) values ('0006_imports');
