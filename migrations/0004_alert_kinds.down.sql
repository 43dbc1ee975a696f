-- Takes 0004_alert_kinds back. Alerts that are about no limit go.
delete from alerts where kind <> 'limit';
alter table alerts
  drop constraint alerts_about,
  drop column kind,
  drop column subject_id,
  drop column message,
  alter column limit_id set not null,
  alter column count_number set not null,
  alter column window_start set not null,
  alter column metric set not null,
  alter column threshold set not null,
  alter column used set not null,
  alter column max set not null;

delete from schema_migrations where name = '0004_alert_kinds';
