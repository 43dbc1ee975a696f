-- What the gateway writes behind: events, sums, corrections, alerts, and how far each journal has been applied.
--
-- No foreign keys here: an event of a deleted key is still an event. Rows are only ever added, sums only ever added to.

-- One row per attempt at a provider (attempt 0: a refusal before any). Partitioned by month on the millisecond inside the UUIDv7;
-- the dump makes each month's partition when it first needs it.
create table usage_events (
  request_id uuid not null,
  attempt integer not null,
  ended_at timestamptz not null,
  virtual_key_id uuid,
  user_id uuid,
  team_id uuid,
  customer_id uuid,
  provider text,
  provider_key_id uuid,
  model text,
  endpoint text not null,
  stream boolean not null,
  tags text[] not null,
  status integer,
  success boolean not null,
  refused_code text,
  input_tokens bigint not null,
  output_tokens bigint not null,
  cache_read_tokens bigint not null,
  cache_write_tokens bigint not null,
  reasoning_tokens bigint not null,
  cost_nano_usd bigint not null,
  -- The part of the cost above what had been held.
  overage_nano_usd bigint not null,
  usage_source text check (usage_source in ('reported', 'estimated', 'partial', 'orphaned')),
  requests integer not null,
  latency_ms integer not null,
  ttft_ms integer,
  -- What was posted: [[limit id, count number, window start in ms, metric, "amount"], …]; nano-dollars where the metric is cost.
  -- json and not jsonb: it is written for every event and read seldom, and building the tree would double the cost of the insert.
  charges json not null,
  primary key (request_id, attempt)
) partition by range (request_id);
create index usage_events_virtual_key_id on usage_events (virtual_key_id, request_id);

-- The net for ids whose time is far from today (a clock that is years out): no partition is made for those.
create table usage_events_default partition of usage_events default;

-- What has been posted on a limit in one window of one count: only ever added to.
-- The low fillfactor keeps its many small updates inside their page where nothing vacuums (the embedded database).
create table limit_usage (
  limit_id uuid not null,
  count_number integer not null,
  window_start timestamptz not null,
  metric text not null
    check (metric in ('requests', 'tokens', 'input_tokens', 'output_tokens', 'concurrency', 'cost')),
  -- Nano-dollars where the metric is cost, a count otherwise.
  posted bigint not null,
  primary key (limit_id, count_number, window_start)
) with (fillfactor = 50);

-- What no window shows any more: windows the pruner has taken out, and what an admin has set back. A limit's lifetime total is this
-- plus what still stands in limit_usage.
create table limit_closed (
  limit_id uuid not null,
  metric text not null
    check (metric in ('requests', 'tokens', 'input_tokens', 'output_tokens', 'concurrency', 'cost')),
  -- Nano-dollars where the metric is cost, a count otherwise.
  posted bigint not null,
  primary key (limit_id, metric)
) with (fillfactor = 80);

-- Posted totals moved by an admin's action or a late settlement; amounts may be negative.
create table corrections (
  id uuid primary key,
  at timestamptz not null,
  reason text not null,
  request_id uuid,
  -- As in usage_events.
  charges json not null
);

-- Sums for reports: what usage_events says, by the hour of its end.
create table usage_hourly (
  hour timestamptz not null,
  customer_id uuid,
  team_id uuid,
  user_id uuid,
  virtual_key_id uuid,
  provider text,
  model text,
  requests bigint not null,
  input_tokens bigint not null,
  output_tokens bigint not null,
  cache_read_tokens bigint not null,
  cache_write_tokens bigint not null,
  reasoning_tokens bigint not null,
  cost_nano_usd bigint not null
) with (fillfactor = 50);
create unique index usage_hourly_identity
  on usage_hourly (hour, customer_id, team_id, user_id, virtual_key_id, provider, model) nulls not distinct;
create index usage_hourly_user_id on usage_hourly (user_id);

-- A share of a limit that has been reached, once per window, and whether somebody has been told.
create table alerts (
  id uuid primary key,
  at timestamptz not null,
  limit_id uuid not null,
  count_number integer not null,
  window_start timestamptz not null,
  metric text not null,
  -- The share, as the limit writes it.
  threshold text not null,
  -- Nano-dollars where the metric is cost, a count otherwise.
  used bigint not null,
  max bigint not null,
  delivered_at timestamptz,
  delivery_attempts integer not null default 0,
  delivery_error text,
  unique (limit_id, count_number, window_start, threshold)
);
create index alerts_undelivered on alerts (at) where delivered_at is null;

-- How far each journal has been applied, in bytes from its beginning: the first thing every dump moves.
create table journal_positions (
  journal_id uuid primary key,
  applied bigint not null check (applied >= 0),
  updated_at timestamptz not null default now()
);

insert into schema_migrations (name) values ('0002_usage');
