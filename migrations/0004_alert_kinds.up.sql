-- Alerts that are about no limit: a user disabled by the gateway, a dump that falls behind, facts in quarantine, a test of the webhook.

alter table alerts
  add column kind text not null default 'limit' check (kind in ('limit', 'user_disabled', 'dump_lag', 'quarantine', 'test')),
  -- The user, where the alert is about one.
  add column subject_id uuid,
  -- What has happened, for people; null where the limit's numbers say it.
  add column message text,
  alter column limit_id drop not null,
  alter column count_number drop not null,
  alter column window_start drop not null,
  alter column metric drop not null,
  alter column threshold drop not null,
  alter column used drop not null,
  alter column max drop not null,
  add constraint alerts_about check (
    case when kind = 'limit'
      then num_nulls(limit_id, count_number, window_start, metric, threshold, used, max) = 0
      else message is not null
    end
  );

insert into schema_migrations (name) values ('0004_alert_kinds');
