-- Takes 0001_entities back: every customer, key and limit goes. The list of migrations itself stays.
drop table audit_log;
drop table management_keys;
drop table limits;
drop table prices;
drop table provider_keys;
drop table providers;
drop table virtual_keys;
drop table user_ips;
drop table users;
drop table teams;
drop table customers;
drop table installation;

delete from schema_migrations where name = '0001_entities';
