-- From schema 2 to 3.
-- Money: what batches reserve, and what was paid in vain.
alter table batch add column run integer not null default 0;
alter table batch add column reserved integer not null default 0;
alter table batch add column output_tokens integer not null default 0;
create table waste (
  day       text    not null,
  run       integer not null,
  upstream  text    not null,
  what      text    not null check (what in ('refused', 'repeated', 'failed')),
  n         integer not null default 0,
  micro_usd integer not null default 0,
  primary key (day, run, upstream, what)
) strict, without rowid;
-- An upstream that does not answer as it should.
create table outage (
  upstream text primary key,
  since    text    not null,
  next_at  text    not null,
  reason   text    not null,
  jobs     integer not null default 0
) strict;
-- How often a suspect ended its process.
alter table job add column died integer not null default 0;
