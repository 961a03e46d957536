-- From schema 3 to 4.
-- What a person decides, what places are made of, and how many searches a mention takes.
drop index question_waiting;
create index question_waiting on question (pipeline, attempt desc, asked_at, id) where state = 'waiting';
alter table mention add column found text;
alter table mention add column label integer;
alter table mention add column searches integer not null default 0;
update mention set found = place, searches = coalesce(case when json_valid(queries) then json_array_length(queries) end, 0);
create index mention_review on mention (id) where state = 'review';
create index mention_found on mention (found) where found is not null;
create index mention_label on mention (label) where label is not null;
alter table run add column matched integer not null default 0;
alter table run add column answers integer not null default 0;
create table label (
  id         integer primary key autoincrement,
  stream     text    not null,
  key        text    not null,
  name       text    not null,
  detail     text    not null default '',
  nth        integer not null default 0,
  state      text    not null check (state in ('place', 'none')),
  found      text,
  fields     text    not null default '',
  shown      text    not null default '[]',
  chosen     integer not null default -1,
  author     text    not null default '',
  at         text    not null,
  was_state  text    not null default 'waiting',
  was_found  text,
  was_score  real    not null default 0,
  was_reason text    not null default '',
  unique (stream, key, name, detail, nth)
) strict;
create table place_entry (
  id           text    not null,
  place        text    not null,
  by_hand      integer not null default 0,
  finder       text    not null,
  finder_id    text    not null default '',
  name         text    not null,
  compact      text    not null,
  category     text    not null default '',
  address      text    not null default '',
  road_address text    not null default '',
  phone        text    not null default '',
  link         text    not null default '',
  query        text    not null default '',
  lat          real    not null default 0,
  lng          real    not null default 0,
  spot         text    not null default '',
  found_at     text    not null,
  primary key (id, finder)
) strict, without rowid;
insert into place_entry (id, place, finder, finder_id, name, compact, category, address, road_address, phone, link, query, lat, lng, found_at)
select id, id, finder, finder_id, name, compact, category, address, road_address, phone, link, query, coalesce(lat, 0), coalesce(lng, 0), updated_at from place;
create index place_entry_place on place_entry (place);
create index place_entry_compact on place_entry (compact);
create index place_entry_spot on place_entry (spot) where spot <> '';
create index place_entry_finder_id on place_entry (finder_id) where finder_id <> '';
create index place_entry_phone on place_entry (phone) where phone <> '';
create table place_apart (
  a  text not null,
  b  text not null,
  at text not null,
  primary key (a, b)
) strict, without rowid;
