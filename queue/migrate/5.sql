-- From schema 4 to 5.
-- Targets that log in, what has been counted day by day, what is no longer shown, and requests by the minute.
alter table target add column tried_at text;
alter table walk add column rest_until text;
alter table record add column gone_at text;
create table credential (
  pipeline   text    not null,
  target     text    not null,
  uid        text    not null default '',
  sealed     blob    not null,
  expires_at text,
  rev        integer not null default 1,
  busy_until text,
  dead_at    text,
  reason     text    not null default '',
  created_at text    not null,
  changed_at text    not null,
  primary key (pipeline, target)
) strict, without rowid;
create table snapshot (
  record integer not null,
  what   text    not null,
  at     text    not null,
  seen_at text   not null,
  day    text    not null,
  n      integer not null,
  primary key (record, what, at)
) strict, without rowid;
create table daily (
  record integer not null,
  what   text    not null,
  day    text    not null,
  n      integer not null,
  primary key (record, what, day)
) strict, without rowid;
create table run_minute (
  run      integer not null,
  upstream text    not null,
  at       text    not null,
  requests integer not null default 0,
  refused  integer not null default 0,
  primary key (run, upstream, at)
) strict, without rowid;
