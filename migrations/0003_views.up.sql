-- For people with psql: names instead of ids, dollars instead of nano-dollars. The program reads none of these.

create view readable_scopes as
  select 'customer' as scope_kind, id as scope_id, name from customers
  union all select 'team', id, name from teams
  union all select 'user', id, name from users
  union all select 'virtual_key', id, name from virtual_keys;

create view readable_limits as
  select l.id, l.scope_kind, s.name as scope_name, l.metric,
         l.max_nano_usd / 1000000000.0 as max_usd, l.max_count,
         l."window", l.align, l.timezone, l.provider, l.model, l.mode,
         l.override_max_nano_usd / 1000000000.0 as override_max_usd, l.override_max_count, l.override_until,
         l.count_number, l.managed_by, l.created_at, l.updated_at
  from limits l left join readable_scopes s using (scope_kind, scope_id);

create view readable_limit_usage as
  select u.limit_id, l.scope_kind, l.scope_name, u.metric, l."window", l.provider, l.model, u.count_number, u.window_start,
         case when u.metric = 'cost' then u.posted / 1000000000.0 end as posted_usd,
         case when u.metric <> 'cost' then u.posted end as posted_count
  from limit_usage u left join readable_limits l on l.id = u.limit_id;

create view readable_events as
  select e.request_id, e.attempt, e.ended_at, k.name as virtual_key, u.name as "user", t.name as team, c.name as customer,
         e.provider, e.model, e.endpoint, e.stream, e.tags, e.status, e.success, e.refused_code,
         e.input_tokens, e.output_tokens, e.cache_read_tokens, e.cache_write_tokens, e.reasoning_tokens,
         e.cost_nano_usd / 1000000000.0 as cost_usd, e.overage_nano_usd / 1000000000.0 as overage_usd,
         e.usage_source, e.requests, e.latency_ms, e.ttft_ms
  from usage_events e
  left join virtual_keys k on k.id = e.virtual_key_id
  left join users u on u.id = e.user_id
  left join teams t on t.id = e.team_id
  left join customers c on c.id = e.customer_id;

create view readable_hourly as
  select h.hour, c.name as customer, t.name as team, u.name as "user", k.name as virtual_key, h.provider, h.model,
         h.requests, h.input_tokens, h.output_tokens, h.cache_read_tokens, h.cache_write_tokens, h.reasoning_tokens,
         h.cost_nano_usd / 1000000000.0 as cost_usd
  from usage_hourly h
  left join virtual_keys k on k.id = h.virtual_key_id
  left join users u on u.id = h.user_id
  left join teams t on t.id = h.team_id
  left join customers c on c.id = h.customer_id;

create view readable_prices as
  select id, provider, model,
         input_nano_usd_per_million / 1000000000.0 as input_usd_per_million,
         output_nano_usd_per_million / 1000000000.0 as output_usd_per_million,
         cache_read_nano_usd_per_million / 1000000000.0 as cache_read_usd_per_million,
         cache_write_nano_usd_per_million / 1000000000.0 as cache_write_usd_per_million,
         nano_usd_per_request / 1000000000.0 as usd_per_request,
         effective_from, managed_by, created_at, updated_at
  from prices;

insert into schema_migrations (name) values ('0003_views');
