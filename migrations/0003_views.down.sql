-- Takes 0003_views back. No data goes.
drop view readable_prices;
drop view readable_hourly;
drop view readable_events;
drop view readable_limit_usage;
drop view readable_limits;
drop view readable_scopes;

delete from schema_migrations where name = '0003_views';
