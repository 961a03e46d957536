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
-- Accounts by the upstream's own id, how far their lists were seen, and what a person was told of.
alter table target add column uid text not null default '';
alter table target add column name text not null default '';
alter table target add column shown integer;
alter table target add column silent_since text;
alter table walk add column cuts integer not null default 0;
create index listing_walk on listing (walk);
create index question_dead on question (answered_at) where state = 'dead';
create table notice (
  key      text primary key,
  event    text not null,
  pipeline text not null,
  text     text not null,
  at       text not null,
  told_at  text,
  gone_at  text
) strict;
