-- From schema 1 to 2. The tables are as schema 2 had them, whatever became of them later.

drop index job_pipeline;
create index job_live on job (pipeline, lane, attempt) where state = 'live';
create index job_dead on job (due) where state = 'dead';

alter table upstream_limit rename to old_limit;
create table upstream_limit (
  name       text primary key,
  day        text    not null default '',
  used       integer not null default 0,
  held_until text,
  reason     text    not null default '',
  stopped    integer not null default 0,
  dirty      integer not null default 0,
  stray      integer not null default 0,
  last_call  text,
  fingerprint text not null default '',
  per_second real    not null default 0,
  guard_us   integer not null default 0,
  bad_us     integer not null default 0,
  bad_at     text,
  refused    text    not null default '' check (refused in ('', 'count', 'free'))
) strict;
insert into upstream_limit (name, day, used, held_until, reason, stopped, dirty, last_call, fingerprint)
select name, day, used, held_until, reason, stopped, dirty, last_call, fingerprint from old_limit;
drop table old_limit;

-- A renamed table takes its sequence along.
drop index run_unfinished;
alter table run rename to old_run;
create table run (
  id         integer primary key autoincrement,
  pipeline   text    not null,
  state      text    not null check (state in ('asked', 'running', 'stopped', 'done')),
  whole      integer not null default 0,
  targets    text,
  asked_at   text    not null,
  started_at text,
  seeded_at  text,
  crawled_at text,
  ended_at   text,
  pages      integer not null default 0,
  fetch_ms   integer not null default 0,
  fresh      integer not null default 0,
  changed    integer not null default 0,
  note       text    not null default ''
) strict;
insert into run (id, pipeline, state, whole, targets, asked_at, started_at, seeded_at, crawled_at, ended_at, pages, fresh, changed, note)
select id, pipeline, state, whole, targets, asked_at, started_at, seeded_at, crawled_at, ended_at, pages, fresh, changed, note from old_run;
delete from sqlite_sequence where name = 'run';
update sqlite_sequence set name = 'run' where name = 'old_run';
drop table old_run;
create unique index run_unfinished on run (pipeline) where state <> 'done';

create table slot (
  run  integer not null,
  lane text    not null,
  what text    not null,
  n    real    not null,
  primary key (run, lane, what)
) strict, without rowid;

-- A question is known by a number; its key is shorter but for what is in a batch: the answer will name the old one.
drop index question_waiting;
drop index question_batch;
alter table question rename to old_question;
create table question (
  id          integer primary key,
  key         text    not null unique,
  pipeline    text    not null,
  state       text    not null default 'waiting' check (state in ('waiting', 'sent', 'answered', 'dead', 'dropped')),
  body        text,
  attempt     integer not null default 0,
  batch       integer,
  line        integer,
  answer      text,
  err         text,
  asked_at    text    not null,
  answered_at text
) strict;
insert into question (key, pipeline, state, body, attempt, batch, line, answer, err, asked_at, answered_at)
select case when state = 'sent' then id else substr(id, 1, instr(id, '-') + 20) end, pipeline, state, body, attempt, batch, line, answer, err, asked_at, answered_at
from old_question order by rowid;
create table question_number (old text primary key, new integer not null) strict, without rowid;
insert into question_number select o.id, q.id from old_question o join question q on q.key in (o.id, substr(o.id, 1, instr(o.id, '-') + 20));
drop table old_question;
create index question_waiting on question (pipeline, attempt, asked_at) where state = 'waiting';
create index question_batch on question (batch, line) where batch is not null;

drop index record_question;
alter table record rename to old_record;
create table record (
  id         integer primary key,
  stream     text not null,
  key        text not null,
  pipeline   text not null,
  target     text not null,
  at         text not null,
  data       text not null,
  question   integer,
  fetched_at text not null,
  raw        blob,
  unique (stream, key)
) strict;
insert into record (id, stream, key, pipeline, target, at, data, question, fetched_at)
select o.id, o.stream, o.key, o.pipeline, o.target, o.at, o.data, case when o.question = '' then 0 else n.new end, o.fetched_at
from old_record o left join question_number n on n.old = o.question;
drop table old_record;
create index record_question on record (question) where question is not null;

create table dictionary (
  id     integer primary key,
  stream text not null,
  body   blob not null,
  at     text not null
) strict;

drop index listing_record;
alter table listing rename to old_listing;
create table listing (
  record integer not null,
  walk   integer not null,
  first  integer not null,
  run    integer not null,
  primary key (record, walk)
) strict, without rowid;
insert into listing (record, walk, first, run) select record, walk, first, run from old_listing;
drop table old_listing;

-- What the finders showed: each entry once, the answers name them by number.
drop index search_at;
delete from search where not json_valid(answer) or json_type(answer) <> 'array';
create table candidate (
  id           integer primary key autoincrement,
  hash         integer not null,
  finder       text    not null,
  finder_id    text    not null,
  name         text    not null,
  category     text    not null,
  address      text    not null,
  road_address text    not null,
  phone        text    not null,
  link         text    not null,
  lat          real    not null,
  lng          real    not null,
  day          text    not null
) strict;
create index candidate_hash on candidate (hash);
create table entry (id integer primary key, body text not null unique, day text not null) strict;
insert into entry (body, day) select c.value, max(date(s.at, '+9 hours')) from search s, json_each(s.answer) c where c.type = 'object' group by c.value;
insert into candidate (id, hash, finder, finder_id, name, category, address, road_address, phone, link, lat, lng, day)
select id, 0, coalesce(body ->> 'finder', ''), coalesce(body ->> 'id', ''), coalesce(body ->> 'name', ''), coalesce(body ->> 'category', ''), coalesce(body ->> 'address', ''),
  coalesce(body ->> 'roadAddress', ''), coalesce(body ->> 'phone', ''), coalesce(body ->> 'link', ''), coalesce(body ->> 'lat', 0), coalesce(body ->> 'lng', 0), day
from entry;
update search set answer = (select json_group_array(e.id order by c.key) from json_each(search.answer) c join entry e on e.body = c.value);
drop table entry;

create table wording (
  id   integer primary key,
  text text not null unique
) strict;
insert or ignore into wording (text) select reason from mention where reason <> '' order by id;
insert or ignore into wording (text)
select c.value ->> 'why' from mention m, json_each(m.candidates) c where json_valid(m.candidates) and c.type = 'object' and c.value ->> 'why' <> '' order by m.id, c.key;

-- The text of a mention is that of the answer: its entry is the n-th that has a name.
drop index mention_place;
drop index mention_state;
alter table mention rename to old_mention;
create table mention (
  id         integer primary key autoincrement,
  record     integer not null,
  n          integer not null,
  pipeline   text    not null,
  question   integer not null,
  entry      integer not null,
  state      text    not null default 'waiting' check (state in ('place', 'none', 'review', 'waiting')),
  place      text,
  score      real,
  reason     integer,
  candidates text,
  queries    text,
  decided_at text,
  unique (record, n)
) strict;
create index candidate_shown on candidate (finder, name);
insert into mention (id, record, n, pipeline, question, entry, state, place, score, reason, candidates, queries, decided_at)
select m.id, m.record, m.n, m.pipeline, coalesce(n.new, 0),
  coalesce(case when json_valid(q.answer) then (
    select i.key from (
      select e.key, row_number() over (order by e.key) - 1 as n from json_each(q.answer, '$.restaurants') e
      where e.type = 'object' and trim(e.value ->> 'name', char(9, 10, 11, 12, 13, 32, 133, 160, 12288)) <> '') i
    where i.n = m.n) end, m.n),
  m.state, m.place, m.score, w.id,
  case when json_valid(m.candidates) and json_type(m.candidates) = 'array' then (
    select json_group_array(json_array(
      coalesce((select c.id from candidate c where c.finder = x.value ->> 'finder' and c.name = x.value ->> 'name'
        and coalesce(nullif(c.road_address, ''), c.address) = coalesce(x.value ->> 'address', '') and c.link = coalesce(x.value ->> 'link', '') order by c.id limit 1), x.value ->> 'finder'),
      x.value ->> 'score', coalesce(y.id, 0)) order by x.key)
    from json_each(m.candidates) x left join wording y on y.text = x.value ->> 'why' where x.type = 'object') end,
  case when json_valid(m.queries) and json_type(m.queries) = 'array' then (
    select json_group_array(json_array(x.value ->> 'finder', x.value ->> 'query', x.value ->> 'found') order by x.key) from json_each(m.queries) x where x.type = 'object') end,
  m.decided_at
from old_mention m left join question_number n on n.old = m.question left join question q on q.id = n.new left join wording w on w.text = m.reason;
delete from sqlite_sequence where name = 'mention';
update sqlite_sequence set name = 'mention' where name = 'old_mention';
drop index candidate_shown;
drop table old_mention;
drop table question_number;
create index mention_place on mention (place) where place is not null;
create index mention_waiting on mention (pipeline) where state = 'waiting';
