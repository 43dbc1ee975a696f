-- What providers keep for a key beyond an answer: only the key that made it reaches it. Rows are written behind, like events.

create table stored_objects (
  -- As the provider names it: a response, one of its items, a conversation.
  id text primary key,
  virtual_key_id uuid not null,
  provider text not null,
  -- Whose account it lies in; null where the provider wants no key.
  provider_key_id uuid,
  created_at timestamptz not null
);

create index stored_objects_created_at on stored_objects (created_at);

insert into schema_migrations (name) values ('0005_stored_objects');
