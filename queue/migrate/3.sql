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
