-- Takes 0002_usage back: all usage goes.
drop table journal_positions;
drop table alerts;
drop table usage_hourly;
drop table corrections;
drop table limit_closed;
drop table limit_usage;
drop table usage_events;

delete from schema_migrations where name = '0002_usage';
