-- What admins write and the gateway loads: customers, teams, users, keys, providers, prices, limits; and who changed them.
--
-- Ids are UUIDv7 and are made by whoever inserts. Money is whole nano-dollars (10^-9 USD) in columns whose names say so.
-- Each file writes its own line into schema_migrations, so that psql alone keeps the list right:
--   psql "$DATABASE_URL" -v ON_ERROR_STOP=1 --single-transaction -f migrations/0001_entities.up.sql

create table if not exists schema_migrations (
  name text primary key,
  -- SHA-256 of the file as it was applied; filled in by `npm run migrate`, empty after a run by hand.
  checksum text,
  applied_at timestamptz not null default now()
);

-- One row: what belongs to this installation as a whole.
create table installation (
  only_row boolean primary key default true check (only_row),
  -- Salt of the encryption key that is derived from BURSAR_SECRET (base64).
  secret_salt text not null,
  -- A known text, encrypted: another secret cannot read it, and the start stops there.
  secret_check text not null,
  created_at timestamptz not null default now()
);

create table customers (
  id uuid primary key,
  name text not null unique,
  metadata jsonb not null default '{}' check (jsonb_typeof(metadata) = 'object'),
  managed_by text not null default 'api' check (managed_by in ('api', 'file')),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

create table teams (
  id uuid primary key,
  name text not null unique,
  customer_id uuid references customers (id),
  metadata jsonb not null default '{}' check (jsonb_typeof(metadata) = 'object'),
  managed_by text not null default 'api' check (managed_by in ('api', 'file')),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index teams_customer_id on teams (customer_id);

create table users (
  id uuid primary key,
  name text not null unique,
  email text,
  kind text not null default 'normal' check (kind in ('normal', 'special', 'temporary')),
  -- Temporary users only: from this moment on they are refused.
  expires_at timestamptz,
  disabled_at timestamptz,
  disabled_reason text,
  -- Null: the default of the kind.
  max_ips integer check (max_ips > 0),
  note text,
  metadata jsonb not null default '{}' check (jsonb_typeof(metadata) = 'object'),
  -- Written behind by the gateway.
  last_used_at timestamptz,
  managed_by text not null default 'api' check (managed_by in ('api', 'file')),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint users_expiry_is_for_temporary_users check ((kind = 'temporary') = (expires_at is not null)),
  constraint users_disabled_with_a_reason check ((disabled_at is null) = (disabled_reason is null))
) with (fillfactor = 80);

create table user_ips (
  user_id uuid not null references users (id) on delete cascade,
  -- As counted: an IPv4 address, or the /64 of an IPv6 address.
  address text not null,
  first_seen_at timestamptz not null,
  last_seen_at timestamptz not null,
  primary key (user_id, address)
) with (fillfactor = 80);

create table virtual_keys (
  id uuid primary key,
  name text not null unique,
  -- SHA-256 of the key, lower-case hex. The key itself is nowhere.
  hash text not null unique check (hash ~ '^[0-9a-f]{64}$'),
  key_start text not null,
  user_id uuid references users (id),
  team_id uuid references teams (id),
  customer_id uuid references customers (id),
  active boolean not null default true,
  expires_at timestamptz,
  -- Null: everything; []: nothing; else a list of { provider, models, blocked_models, key_ids, weight }.
  access jsonb check (jsonb_typeof(access) = 'array'),
  -- CIDR list; null: from anywhere.
  allowed_ips text[],
  passthrough boolean not null default false,
  metadata jsonb not null default '{}' check (jsonb_typeof(metadata) = 'object'),
  rotated_at timestamptz,
  -- The hash before the last rotation, valid until previous_until.
  previous_hash text unique check (previous_hash ~ '^[0-9a-f]{64}$'),
  previous_until timestamptz,
  -- Written behind by the gateway.
  last_used_at timestamptz,
  managed_by text not null default 'api' check (managed_by in ('api', 'file')),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint virtual_keys_grace_is_whole check ((previous_hash is null) = (previous_until is null))
) with (fillfactor = 80);
create index virtual_keys_user_id on virtual_keys (user_id);
create index virtual_keys_team_id on virtual_keys (team_id);
create index virtual_keys_customer_id on virtual_keys (customer_id);

create table providers (
  id uuid primary key,
  name text not null unique,
  kind text not null check (kind in ('openai', 'anthropic', 'google', 'azure', 'openai_compatible', 'sim')),
  base_url text not null,
  api_version text,
  -- Azure: { "<model>": "<deployment>" }.
  deployments jsonb not null default '{}' check (jsonb_typeof(deployments) = 'object'),
  timeout_ms integer check (timeout_ms > 0),
  -- { "<header>": "<encrypted value>" }.
  headers jsonb not null default '{}' check (jsonb_typeof(headers) = 'object'),
  enabled boolean not null default true,
  managed_by text not null default 'api' check (managed_by in ('api', 'file')),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

create table provider_keys (
  id uuid primary key,
  provider_id uuid not null references providers (id) on delete cascade,
  name text not null,
  -- AES-256-GCM under a key derived from BURSAR_SECRET.
  value_encrypted text not null,
  key_start text not null,
  weight double precision not null default 1 check (weight >= 0),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (provider_id, name)
);

-- Overrides of the bundled price data.
create table prices (
  id uuid primary key,
  provider text not null,
  -- A name or a glob.
  model text not null,
  input_nano_usd_per_million bigint check (input_nano_usd_per_million >= 0),
  output_nano_usd_per_million bigint check (output_nano_usd_per_million >= 0),
  cache_read_nano_usd_per_million bigint check (cache_read_nano_usd_per_million >= 0),
  cache_write_nano_usd_per_million bigint check (cache_write_nano_usd_per_million >= 0),
  nano_usd_per_request bigint check (nano_usd_per_request >= 0),
  effective_from timestamptz not null,
  managed_by text not null default 'api' check (managed_by in ('api', 'file')),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (provider, model, effective_from)
);

create table limits (
  id uuid primary key,
  scope_kind text not null check (scope_kind in ('user', 'virtual_key', 'team', 'customer', 'global')),
  scope_id uuid,
  metric text not null
    check (metric in ('requests', 'tokens', 'input_tokens', 'output_tokens', 'concurrency', 'cost')),
  -- The maximum stands in the column of its unit: dollars only for cost, a count for everything else.
  max_nano_usd bigint check (max_nano_usd > 0),
  max_count bigint check (max_count between 1 and 9007199254740991),
  -- As written: a duration, a cron expression, hourly, daily or lifetime; null for concurrency.
  "window" text,
  align text check (align in ('fixed', 'calendar', 'sliding')),
  timezone text not null default 'UTC',
  provider text,
  -- A name, a glob, or family:<name>.
  model text,
  mode text not null default 'enforce' check (mode in ('enforce', 'observe')),
  -- Shares of the maximum, as decimals.
  alert_at text[] not null default '{0.8,1}',
  -- Where the lattice of a fixed or sliding window begins.
  anchor_at timestamptz not null default now(),
  -- Grows by one when metric, window, align, timezone or selector change: a new count begins.
  count_number integer not null default 1 check (count_number > 0),
  override_max_nano_usd bigint check (override_max_nano_usd > 0),
  override_max_count bigint check (override_max_count between 1 and 9007199254740991),
  -- infinity: until somebody ends it.
  override_until timestamptz,
  managed_by text not null default 'api' check (managed_by in ('api', 'file')),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint limits_scope_is_whole check ((scope_kind = 'global') = (scope_id is null)),
  constraint limits_max_in_its_unit
    check ((metric = 'cost') = (max_nano_usd is not null) and (metric = 'cost') = (max_count is null)),
  constraint limits_override_in_its_unit check (
    case when override_until is null then override_max_nano_usd is null and override_max_count is null
         when metric = 'cost' then override_max_nano_usd is not null and override_max_count is null
         else override_max_nano_usd is null and override_max_count is not null end
  ),
  constraint limits_window_unless_concurrency check ((metric = 'concurrency') = ("window" is null))
);
-- What makes two limits the same one (the configuration file updates by it). It also serves look-ups by scope.
create unique index limits_identity
  on limits (scope_kind, scope_id, metric, provider, model, "window", align, timezone, mode) nulls not distinct;

create table management_keys (
  id uuid primary key,
  name text not null unique,
  -- SHA-256 of the key, lower-case hex.
  hash text not null unique check (hash ~ '^[0-9a-f]{64}$'),
  key_start text not null,
  role text not null check (role in ('admin', 'viewer')),
  -- Bound to a customer: only what lies below it.
  customer_id uuid references customers (id),
  expires_at timestamptz,
  last_used_at timestamptz,
  managed_by text not null default 'api' check (managed_by in ('api', 'file')),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index management_keys_customer_id on management_keys (customer_id);

-- Who changed what. Never updated; no foreign keys, so that it outlives what it speaks of.
create table audit_log (
  id uuid primary key,
  at timestamptz not null default now(),
  -- The management key; null for the root key, the configuration file and the system itself.
  actor_id uuid,
  actor_name text not null,
  action text not null,
  entity_kind text not null,
  entity_id uuid,
  entity_name text,
  before jsonb,
  after jsonb,
  address text
);
create index audit_log_entity on audit_log (entity_kind, entity_id);

insert into schema_migrations (name) values ('0001_entities');
