-- The state of sumbi, readable from top to bottom. Instants are RFC 3339 text, milliseconds, UTC; days are Korean days;
-- money is integer micro-dollars. Everything here is also valid for the sqlite3 3.40 command-line tool.
-- The schema's version is `pragma user_version`.

-- The queue's own table: it carries only the ids of jobs that are ready or soon will be (goqite's schema, unaltered).
create table goqite (
  id text primary key default ('m_' || lower(hex(randomblob(16)))),
  created text not null default (strftime('%Y-%m-%dT%H:%M:%fZ')),
  updated text not null default (strftime('%Y-%m-%dT%H:%M:%fZ')),
  queue text not null,
  body blob not null,
  timeout text not null default (strftime('%Y-%m-%dT%H:%M:%fZ')),
  received integer not null default 0,
  priority integer not null default 0
) strict;

create trigger goqite_updated_timestamp after update on goqite begin
  update goqite set updated = strftime('%Y-%m-%dT%H:%M:%fZ') where id = old.id;
end;

create index goqite_queue_priority_created_idx on goqite (queue, priority desc, created);

-- A job is one piece of work. Finished jobs are deleted; dead ones stay until a person decides or 30 days have passed.
create table job (
  id         integer primary key autoincrement,
  pipeline   text    not null,
  lane       text    not null,                     -- the upstream whose pace it follows
  kind       text    not null check (kind in ('page', 'batch', 'match', 'deliver')),
  key        text,                                 -- at most one live job per key
  args       text    not null default '{}',
  priority   integer not null default 0,           -- the highest goes first; a page: pages that its list probably has left
  attempt    integer not null default 0,           -- failed attempts so far
  run        integer not null default 0,           -- grows with each handing out and each end: a late worker's number no longer fits
  lost       integer not null default 0,           -- times handed out since the last orderly end
  alone      integer not null default 0,           -- 1 while it is deliberately the only one in flight
  hurried    integer not null default 0,           -- 1: asked to come at once while it was in flight
  state      text    not null default 'live' check (state in ('live', 'dead')),
  message    text,                                 -- its id in goqite; null while it is due later
  due        text    not null,
  taken_at   text,                                 -- in flight since; null when it waits
  err        text,                                 -- the last error
  created_at text    not null,
  died       integer not null default 0            -- times the process ended while it was the only one in flight
) strict;

create unique index job_live_key on job (key) where state = 'live' and key is not null;
create index job_later on job (due) where state = 'live' and message is null;
create index job_live on job (pipeline, lane, attempt) where state = 'live';
create index job_dead on job (due) where state = 'dead';
create index job_taken on job (taken_at) where taken_at is not null;

-- What went wrong, attempt by attempt; kept for 30 days, also when the job succeeded later, and for a day of lists of one record.
create table job_error (
  id      integer primary key autoincrement,
  job     integer not null,
  kind    text    not null,
  key     text,
  attempt integer not null,
  at      text    not null,
  err     text    not null
) strict;

create index job_error_job on job_error (job);
create index job_error_at on job_error (at);

-- A lane that waits for a person. The row goes when the process starts again.
create table lane_stop (
  lane   text primary key,
  at     text not null,
  reason text not null
) strict;

-- An upstream that does not answer as it should. One call at a time looks whether it does again.
create table outage (
  upstream text primary key,
  since    text    not null,
  next_at  text    not null,                       -- when it is looked at again; a start looks at once
  reason   text    not null,                       -- the last failure
  jobs     integer not null default 0              -- different jobs that failed in a row; from 3 on failures are no attempts
) strict;

-- What a limit (one credential of one upstream) must remember.
create table upstream_limit (
  name       text primary key,                     -- instagram/1
  day        text    not null default '',          -- the Korean day that `used` counts
  used       integer not null default 0,           -- calls of that day, counted ahead in blocks
  held_until text,                                 -- no call before
  reason     text    not null default '',
  stopped    integer not null default 0,           -- waits for a person
  dirty      integer not null default 0,           -- 1 while a process uses it
  stray      integer not null default 0,           -- 1 when last_call is not all: some calls of that process had no claim
  last_call  text,                                 -- while a process uses it: the newest claim
  fingerprint text not null default '',            -- of the credential: what is remembered of another one does not hold
  per_second real    not null default 0,           -- the rate that what follows was learnt for
  guard_us   integer not null default 0,           -- microseconds added to the upstream's window when calls are spaced
  bad_us     integer not null default 0,           -- the widest guard that saw a refusal; 0: none did
  bad_at     text,                                 -- the last such refusal
  refused    text    not null default '' check (refused in ('', 'count', 'free')) -- whether refused calls fill the window too
) strict;

create table meta (
  key   text primary key,
  value text not null
) strict;

-- When each pipeline runs next.
create table schedule (
  pipeline text primary key,
  spec     text not null,                          -- what next_at was computed from
  next_at  text,                                   -- null: only by hand
  full_at  text                                    -- the first run after it walks whole lists
) strict;

-- One run of a pipeline. At most one of a pipeline is unfinished.
create table run (
  id         integer primary key autoincrement,
  pipeline   text    not null,
  state      text    not null check (state in ('asked', 'running', 'stopped', 'done')),
  whole      integer not null default 0,           -- 1: walks whole lists
  targets    text,                                 -- JSON list when only these were asked for
  asked_at   text    not null,
  started_at text,
  seeded_at  text,                                 -- every list has its walk
  crawled_at text,                                 -- every walk has ended
  ended_at   text,
  pages      integer not null default 0,
  fetch_ms   integer not null default 0,           -- what the upstream took for those pages, one after the other
  fresh      integer not null default 0,           -- new records
  changed    integer not null default 0,           -- known records that came back different
  note       text    not null default '',
  matched    integer not null default 0,           -- mentions that were decided meanwhile
  answers    integer not null default 0            -- searches whose answers they used, remembered ones included
) strict;

create unique index run_unfinished on run (pipeline) where state <> 'done';

-- What became of the calls that the limit of a run's lane would have allowed while the run crawled. Together they are
-- limit × time, but for what passed while no process ran.
create table slot (
  run  integer not null,
  lane text    not null,
  what text    not null,                           -- call: made; guard: kept back so that none is refused; the others are lost
  n    real    not null,
  primary key (run, lane, what)
) strict, without rowid;

-- What a run asked of each upstream, minute by minute.
create table run_minute (
  run      integer not null,
  upstream text    not null,
  at       text    not null,                       -- when the minute began
  requests integer not null default 0,
  refused  integer not null default 0,             -- of those
  primary key (run, upstream, at)
) strict, without rowid;

-- An account (seller, artist) of a pipeline.
create table target (
  pipeline   text    not null,
  target     text    not null,
  state      text    not null default 'ok' check (state in ('ok', 'gone', 'private')),
  misses     integer not null default 0,           -- runs in a row that found it gone
  missed_run integer not null default 0,
  total      integer not null default 0,           -- the upstream's own count; 0 unknown
  checked_at text,
  note       text    not null default '',
  uid          text  not null default '',          -- the upstream's own id for it, which outlives its names
  name         text  not null default '',          -- the name it goes by now, when that is another
  shown        integer,                            -- records that its lists had shown when they last had all ended cleanly
  silent_since text,                               -- its newest record, when it has been silent far beyond its habit since
  tried_at     text,                               -- when a run began it last
  primary key (pipeline, target)
) strict, without rowid;

-- What a target logs in with: encrypted with SUMBI_KEY, and bound to its row.
create table credential (
  pipeline   text    not null,
  target     text    not null,
  uid        text    not null default '',          -- whose it is by the upstream's own id, as the upstream itself said
  sealed     blob    not null,
  expires_at text,
  rev        integer not null default 1,           -- compare-and-set: a renewal is of the one that it began with
  busy_until text,                                 -- until then somebody renews it
  dead_at    text,                                 -- not accepted since; null: it is
  reason     text    not null default '',          -- why it is not
  created_at text    not null,                     -- when the target's first one came
  changed_at text    not null,
  primary key (pipeline, target)
) strict, without rowid;

-- A walk is one list of one target: where it stands, and up to where the last finished walk saw everything.
create table walk (
  id       integer primary key,
  pipeline text    not null,
  target   text    not null,
  list     text    not null,
  state    text    not null default 'idle' check (state in ('idle', 'walking', 'unfinished', 'gone', 'private')),
  run      integer not null default 0,             -- the run that walks it or walked it last
  whole    integer not null default 0,
  step     integer not null default 0,             -- compare-and-set: only the holder of the last step may go on
  cursor   text    not null default '',
  mark     text,                                   -- newest record of the last walk that ended cleanly; null: never ended
  clean    integer not null default 0,             -- the run in which that was
  newest   text,                                   -- newest record of this walk: the mark to be
  oldest   text,                                   -- down to here this walk has seen everything
  last_key text    not null default '',            -- last record of this walk
  end_key  text    not null default '',            -- where the walk before ended on empty pages, or that it saw nothing
  pages    integer not null default 0,
  expected integer not null default 0,             -- pages of the last whole walk; 0 unknown
  empties  integer not null default 0,             -- empty pages in a row
  repeats  integer not null default 0,             -- times in a row that the answer named the page just asked
  known    integer not null default 0,             -- pages in a row that this walk had seen before
  restarts integer not null default 0,
  ended_at text,
  note     text    not null default '',
  cuts     integer not null default 0,             -- runs in a row that left it unfinished
  rest_until text,                                 -- the upstream asks to leave it alone until then
  unique (pipeline, target, list)
) strict;

create index walk_run on walk (run, state);

-- What was learnt from an upstream: one row a post, whichever list it came from.
create table record (
  id         integer primary key,
  stream     text not null,
  key        text not null,
  pipeline   text not null,
  target     text not null,                        -- where it was found first
  at         text not null,
  data       text not null,                        -- JSON
  question   integer,                              -- what is asked about it; 0 nothing; null not looked at yet
  fetched_at text not null,
  raw        blob,                                 -- the upstream's own item without what expires: a zstd frame
  gone_at    text,                                 -- its list has not shown it since; null: not looked for, or there
  unique (stream, key)
) strict;

create index record_question on record (question) where question is not null;

-- How far a counter of a record had come at a moment. A row is added when the number has changed, and with the first look of
-- each day; from at to seen_at each look found the number the same. What was counted between seen_at and the next row may
-- belong to any moment between them.
create table snapshot (
  record integer not null,
  what   text    not null,                         -- views, likes
  at     text    not null,
  seen_at text   not null,                         -- the last look that found n, on the same day
  day    text    not null,                         -- the Korean day of at
  n      integer not null,                         -- in all, up to then
  primary key (record, what, at)
) strict, without rowid;

-- What the upstream itself says was counted on a day. It goes before the difference of two snapshots.
create table daily (
  record integer not null,
  what   text    not null,
  day    text    not null,
  n      integer not null,
  primary key (record, what, day)
) strict, without rowid;

-- What the items of a stream have in common. A frame names the dictionary that it needs.
create table dictionary (
  id     integer primary key,
  stream text not null,
  body   blob not null,                            -- a zstd frame without a dictionary
  at     text not null
) strict;

-- Which list showed a record.
create table listing (
  record integer not null,
  walk   integer not null,
  first  integer not null,                         -- the run that showed it first
  run    integer not null,                         -- and the one that showed it last
  primary key (record, walk)
) strict, without rowid;

create index listing_walk on listing (walk);

-- A question to the model: one per caption text and prompt version, however many posts share it.
create table question (
  id          integer primary key,
  key         text    not null unique,             -- prompt version and text in short; its line's id in a batch
  pipeline    text    not null,
  state       text    not null default 'waiting' check (state in ('waiting', 'sent', 'answered', 'dead', 'dropped')),
  body        text,                                -- the text put to the model; null once answered
  attempt     integer not null default 0,          -- answers that could not be used
  batch       integer,
  line        integer,                             -- its line in the batch's file, from 1
  answer      text,                                -- JSON
  err         text,
  asked_at    text    not null,
  answered_at text
) strict;

create index question_waiting on question (pipeline, attempt desc, asked_at, id) where state = 'waiting'; -- in the order in which they go
create index question_batch on question (batch, line) where batch is not null;
create index question_dead on question (answered_at) where state = 'dead';

-- A batch of questions. The shard is written before the call that creates the batch and rides in its metadata.
create table batch (
  id          integer primary key autoincrement,
  pipeline    text    not null,
  model       text    not null,
  state       text    not null check (state in ('choosing', 'chosen', 'uploaded', 'creating', 'running', 'reading', 'done', 'refused')),
  shard       text    not null default '',
  lines       integer not null default 0,
  bytes       integer not null default 0,
  tokens      integer not null default 0,          -- estimated prompt tokens
  input_file  text    not null default '',
  upstream_id text    not null default '',
  status      text    not null default '',         -- the upstream's own word
  output_file text    not null default '',
  error_file  text    not null default '',
  reading     text    not null default '',         -- output or errors: the file being read; rest or back: lines without an answer
  position    integer not null default 0,          -- bytes of it taken
  broken      integer not null default 0,          -- times its answers came incomplete
  polls       integer not null default 0,
  answered    integer not null default 0,
  failed      integer not null default 0,
  created_at  text    not null,
  creating_at text,
  sent_at     text,
  ended_at    text,
  note        text    not null default '',
  run         integer not null default 0,          -- the run that asked, and pays; 0: outside a run
  reserved    integer not null default 0,          -- micro-dollars kept back for answers that are not read yet
  output_tokens integer not null default 0         -- of the answers read so far
) strict;

create index batch_open on batch (state) where state not in ('done', 'refused');
create unique index batch_upstream on batch (upstream_id) where upstream_id <> '';

-- A restaurant that a post names, and what became of it.
create table mention (
  id         integer primary key autoincrement,    -- never used again: a late match must not decide another mention
  record     integer not null,
  n          integer not null,                     -- 0 is the first of the post
  pipeline   text    not null,
  question   integer not null,                     -- whose answer names it
  entry      integer not null,                     -- and where in its list, from 0: the text is kept only there
  state      text    not null default 'waiting' check (state in ('place', 'none', 'review', 'waiting')),
  place      text,
  score      real,
  reason     integer,                              -- wording
  candidates text,                                 -- JSON, best first: [candidate, score, wording]; where nothing of a finder's text is kept [finder, score, wording, link, id of the place, search words]
  queries    text,                                 -- JSON, in order: [finder, query, how many were found]
  decided_at text,
  found      text,                                 -- the entry of a finder that was taken, whatever place it is part of
  label      integer,                              -- a person has decided it so; nothing else may
  searches   integer not null default 0,           -- whose answers the decision used, remembered ones included
  unique (record, n)
) strict;

create index mention_place on mention (place) where place is not null;
create index mention_waiting on mention (pipeline) where state = 'waiting';
create index mention_review on mention (id) where state = 'review';
create index mention_found on mention (found) where found is not null;
create index mention_label on mention (label) where label is not null;

-- What a person has decided. It outlives the mention: whatever the post is read as later, the restaurant of that name in it
-- is this one.
create table label (
  id         integer primary key autoincrement,
  stream     text    not null,                     -- of the record
  key        text    not null,
  name       text    not null,                     -- as the post writes it, folded
  detail     text    not null default '',          -- branch, area and address, folded: they tell namesakes apart
  nth        integer not null default 0,           -- among those that are the same in both
  state      text    not null check (state in ('place', 'none')),
  found      text,                                 -- JSON of the entry that was chosen; null: none
  fields     text    not null default '',          -- JSON, what the post said
  shown      text    not null default '[]',        -- JSON list of the candidates that there were to choose from
  chosen     integer not null default -1,          -- which of them
  author     text    not null default '',
  at         text    not null,
  was_state  text    not null default 'waiting',   -- what the scorer had decided
  was_found  text,                                 -- JSON of the entry that it had chosen
  was_score  real    not null default 0,
  was_reason text    not null default '',
  unique (stream, key, name, detail, nth)
) strict;

-- Why something was decided. Few texts come again and again.
create table wording (
  id   integer primary key,
  text text not null unique
) strict;

-- Answers of the finders, kept so that nobody asks the same twice.
create table search (
  finder text not null,
  query  text not null,
  answer text not null,                            -- JSON list of candidates, the finder's order
  at     text not null,
  primary key (finder, query)
) strict, without rowid;

-- What the finders' answers show, each entry once; it goes with the last answer that shows it.
create table candidate (
  id           integer primary key autoincrement,  -- never used again: an old decision must not show another entry
  hash         integer not null,                   -- of all its text
  finder       text    not null,
  finder_id    text    not null,
  name         text    not null,
  category     text    not null,
  address      text    not null,
  road_address text    not null,
  phone        text    not null,
  link         text    not null,
  lat          real    not null,                   -- both 0: unknown
  lng          real    not null,
  day          text    not null                    -- on which an answer showed it last
) strict;

create index candidate_hash on candidate (hash);

create table place (
  id           text primary key,
  finder       text not null,
  finder_id    text not null default '',
  name         text not null,
  compact      text not null,                      -- name folded for comparison
  category     text not null default '',
  address      text not null default '',
  road_address text not null default '',
  phone        text not null default '',
  link         text not null default '',
  query        text not null default '',           -- the search words that found it
  lat          real,
  lng          real,
  first_at     text not null,
  updated_at   text not null
) strict;

create index place_compact on place (compact);

-- What the finders show of a place: each entry that was ever chosen. Entries of one name and address have one id, whichever
-- finder shows them, and are always of one place. The place's id is that of one of its entries.
create table place_entry (
  id           text    not null,
  place        text    not null,
  by_hand      integer not null default 0,         -- 1: a person has put it there; it stays, also while nobody names it
  finder       text    not null,
  finder_id    text    not null default '',
  name         text    not null,
  compact      text    not null,                   -- name folded for comparison
  category     text    not null default '',
  address      text    not null default '',
  road_address text    not null default '',
  phone        text    not null default '',
  link         text    not null default '',
  query        text    not null default '',
  lat          real    not null default 0,         -- both 0: unknown
  lng          real    not null default 0,
  spot         text    not null default '',        -- its address folded for comparison
  found_at     text    not null,
  primary key (id, finder)
) strict, without rowid;

create index place_entry_place on place_entry (place);
create index place_entry_compact on place_entry (compact);
create index place_entry_spot on place_entry (spot) where spot <> '';
create index place_entry_finder_id on place_entry (finder_id) where finder_id <> '';
create index place_entry_phone on place_entry (phone) where phone <> '';

-- Entries that a person has split: they are never again taken for one place but by a person.
create table place_apart (
  a  text not null,                                -- the lesser of the two ids
  b  text not null,
  at text not null,
  primary key (a, b)
) strict, without rowid;

-- Where each pipeline delivers.
create table sink (
  pipeline text not null,
  sink     text not null,
  identity text    not null default '',            -- which server it was: another one is told of everything
  active   integer not null default 1,             -- 0: not configured now; what it must be told is kept
  primary key (pipeline, sink)
) strict, without rowid;

-- What a sink has yet to be told. rev grows when it changes again before it was delivered.
create table outbox (
  sink     text    not null,
  stream   text    not null,
  key      text    not null,
  pipeline text    not null,
  rev      integer not null default 1,
  at       text    not null,
  primary key (sink, stream, key)
) strict, without rowid;

create index outbox_at on outbox (sink, at);

-- Webhooks already seen; kept for 7 days.
create table webhook (
  id text primary key,
  at text not null
) strict;

-- What a person was told of, or is to be told. The row goes an hour after the trouble has ended.
create table notice (
  key      text primary key,                       -- of v_troubles
  event    text not null,
  pipeline text not null,
  text     text not null,
  at       text not null,                          -- when it was seen first
  told_at  text,                                   -- null: not yet
  gone_at  text                                    -- not there since; null: it stands
) strict;

-- The books: what was asked of each upstream on a day, and what it costs.
create table usage (
  day       text    not null,
  run       integer not null,                      -- 0: outside a run
  upstream  text    not null,
  what      text    not null check (what in ('request', 'input_token', 'output_token')),
  n         integer not null default 0,
  micro_usd integer not null default 0,
  primary key (day, run, upstream, what)
) strict, without rowid;

-- What of that was in vain. n counts requests; of a batch, lines.
create table waste (
  day       text    not null,
  run       integer not null,
  upstream  text    not null,
  what      text    not null check (what in ('refused', 'repeated', 'failed')), -- repeated: the result was lost, so it is asked for again
  n         integer not null default 0,
  micro_usd integer not null default 0,
  primary key (day, run, upstream, what)
) strict, without rowid;

-- Views for people. Their names and columns are stable.

create view v_posts as
select r.key as post, r.target as account,
  (select group_concat(list, ',') from (select distinct w.list from listing l join walk w on w.id = l.walk where l.record = r.id order by w.list) x) as lists,
  r.at as taken_at, r.fetched_at,
  case when r.question is null then 'new'
       when r.question = 0 or q.state = 'dropped' then 'skipped'
       when q.state in ('waiting', 'sent') then 'asked'
       when q.state = 'dead' then 'dead'
       when exists (select 1 from mention m where m.record = r.id and m.state = 'waiting') then 'matching'
       else 'done' end as state,
  json_extract(r.data, '$.url') as url,
  json_extract(r.data, '$.caption') as caption
from record r left join question q on q.id = r.question
where r.stream = 'post';

create view v_mentions as
select r.key as post, m.n, case when json_valid(q.answer) then json_extract(q.answer, '$.restaurants[' || m.entry || '].name') end as name, m.state, m.place, m.score, coalesce(w.text, '') as reason,
  r.target as account, case when json_valid(q.answer) then json_extract(q.answer, '$.restaurants[' || m.entry || ']') end as fields,
  case when json_valid(m.candidates) then (
    select json_group_array(json_object('name', coalesce(c.name, 'no longer kept'), 'address', coalesce(nullif(c.road_address, ''), c.address), 'link', coalesce(c.link, x.value ->> 3),
      'finder', coalesce(c.finder, iif(typeof(x.value ->> 0) = 'text', x.value ->> 0, null)), 'score', x.value ->> 1, 'why', y.text))
    from json_each(m.candidates) x left join candidate c on c.id = x.value ->> 0 left join wording y on y.id = x.value ->> 2) end as candidates,
  case when json_valid(m.queries) then (
    select json_group_array(json_object('finder', x.value ->> 0, 'query', x.value ->> 1, 'found', x.value ->> 2)) from json_each(m.queries) x) end as queries,
  m.decided_at, m.searches, l.author as labelled_by, l.at as labelled_at
from mention m join record r on r.id = m.record left join question q on q.id = m.question left join wording w on w.id = m.reason left join label l on l.id = m.label;

-- What people have decided, also of mentions that are not there now.
create view v_labels as
select l.key as post, l.name, l.detail, l.state, l.author, l.at, m.place, case when m.id is null then 0 else 1 end as in_force, l.was_state, l.was_score, l.was_reason
from label l left join mention m on m.label = l.id;

create view v_places as
select p.id as place, p.name, p.category, p.road_address, p.address, p.phone, p.link, p.lat, p.lng, p.finder,
  count(m.id) as mentions, count(distinct r.target) as accounts, min(r.at) as first_seen, max(r.at) as last_seen
from place p join mention m on m.place = p.id join record r on r.id = m.record
group by p.id;

-- What each place is made of.
create view v_entries as
select e.place, e.id as entry, e.finder, e.finder_id, e.name, e.road_address, e.address, e.phone, e.link, e.lat, e.lng, e.by_hand,
  (select count(*) from mention m where m.found = e.id) as mentions
from place_entry e;

create view v_jobs as
select id, pipeline, lane, kind, key,
  case when state = 'dead' then 'dead' when taken_at is not null then 'running'
       when due > strftime('%Y-%m-%dT%H:%M:%fZ') then 'waiting' else 'ready' end as state,
  priority, attempt, due, taken_at, err, created_at
from job;

create view v_dead as
select 'job' as what, cast(id as text) as id, pipeline, kind || ' ' || coalesce(key, '') as name, attempt, err as reason, due as at
from job where state = 'dead'
union all
select 'question', q.key, q.pipeline, substr(replace(coalesce(q.body, ''), char(10), ' '), 1, 40), q.attempt, q.err, q.answered_at
from question q where q.state = 'dead';

create view v_runs as
select r.id as run, r.pipeline, r.state, case when r.whole = 1 then 'whole lists' else 'new only' end as what,
  r.started_at, r.crawled_at, r.ended_at, r.pages, r.fresh as new_posts, r.changed,
  (select count(*) from walk w where w.run = r.id and w.state = 'walking') as lists_left,
  (select coalesce(sum(n), 0) from usage u where u.run = r.id and u.what = 'request') as requests,
  (select coalesce(sum(micro_usd), 0) from usage u where u.run = r.id) as micro_usd,
  r.note,
  (select coalesce(sum(n), 0) from usage u where u.run = r.id and u.what = 'input_token') as input_tokens,
  (select coalesce(sum(n), 0) from usage u where u.run = r.id and u.what = 'output_token') as output_tokens,
  (select coalesce(sum(n), 0) from usage u where u.run = r.id and u.what = 'request' and u.upstream in ('naver', 'kakao')) as searches,
  (select coalesce(sum(reserved), 0) from batch b where b.run = r.id and b.state not in ('done', 'refused')) as reserved_micro_usd,
  (select coalesce(sum(micro_usd), 0) from waste w where w.run = r.id) as wasted_micro_usd,
  r.matched, r.answers,
  case when r.matched > 0 then round(cast((select coalesce(sum(n), 0) from usage u where u.run = r.id and u.what = 'request' and u.upstream in ('naver', 'kakao')) as double precision) / r.matched, 3) end as searches_per_mention,
  case when r.matched > 0 then round(cast(r.answers as double precision) / r.matched, 3) end as answers_per_mention
from run r;

create view v_slots as
select run, lane, what, round(n, 1) as slots, round(100 * n / sum(n) over (partition by run, lane), 1) as percent
from slot;

create view v_accounts as
select t.pipeline, t.target as account, t.state, t.total as upstream_count,
  (select count(*) from record r where r.pipeline = t.pipeline and r.target = t.target) as stored,
  (select max(r.at) from record r where r.pipeline = t.pipeline and r.target = t.target) as newest_post,
  (select group_concat(list || ' ' || state, ', ') from walk w where w.pipeline = t.pipeline and w.target = t.target) as lists,
  t.misses, t.checked_at, t.note,
  t.uid as upstream_id, t.name as renamed_to, t.silent_since
from target t;

-- What targets log in with; the tokens themselves are encrypted.
create view v_credentials as
select pipeline, target as account, uid as upstream_id, case when dead_at is null then 'ok' else 'dead' end as state, dead_at as dead_since, reason, expires_at, created_at, changed_at
from credential;

-- How far each counter of a record had come at the last look of each day.
create view v_days as
select r.pipeline, r.target as account, r.stream, r.key as record, s.what, s.day, s.n, d.n as upstream_count
from snapshot s join record r on r.id = s.record left join daily d on d.record = s.record and d.what = s.what and d.day = s.day
where not exists (select 1 from snapshot l where l.record = s.record and l.what = s.what and l.day = s.day and l.at > s.at);

create view v_batches as
select id as batch, pipeline, model, state, status, lines, answered, failed, tokens, upstream_id, created_at, sent_at, ended_at, note, run, reserved as reserved_micro_usd, output_tokens
from batch;

-- A list of an account (not of one of its records: stats/KEY) that was not walked to its end, or (state short, no list) an account of which less was seen than it says it has.
create view v_gaps as
select pipeline, target as account, list, state, coalesce(oldest, newest) as unfinished_from, mark as unfinished_to, pages, note,
  cuts as runs, null as missing
from walk where list not like '%/%' and (state in ('walking', 'unfinished') or (cuts > 0 and state in ('gone', 'private')))
union all
select pipeline, target, '', 'short', null, null, 0, 'the upstream counts ' || total || ', its lists showed ' || shown, 0, total - shown
from target t where state = 'ok' and shown is not null and total - shown > case when total > 60 then total / 20 else 3 end
  and not exists (select 1 from walk w where w.pipeline = t.pipeline and w.target = t.target and w.state <> 'idle');

-- What a person should know of without looking. The key stays the same for as long as it is the same trouble.
create view v_troubles as
select 'lane:' || lane as key, 'stopped' as event, '' as pipeline, lane || ' waits for you: ' || reason as text, at
from lane_stop
union all
select 'credential:' || name, 'credential', '', 'the credential ' || name || ' is not used until the next start: ' || reason, null
from upstream_limit where stopped = 1 and not exists (select 1 from lane_stop s where s.lane = substr(name, 1, instr(name || '/', '/') - 1))
union all
select 'login:' || pipeline || ':' || target, 'credential', pipeline, 'the log-in of ' || target || ' in ' || pipeline || ' is not accepted any more (' || reason || '); `sumbi login ' || pipeline || '` takes a new one', dead_at
from credential where dead_at is not null
union all
select 'run:' || pipeline, 'run', pipeline, 'run ' || id || ' of ' || pipeline || ' cannot go on: ' || note, null
from run where state = 'stopped'
union all
select 'unfinished:' || r.pipeline, 'run', r.pipeline,
  'run ' || r.id || ' of ' || r.pipeline || ' has ended; lists not walked to their end: ' || count(*) || ', the next run comes by again', max(w.ended_at)
from run r join walk w on w.run = r.id and w.state = 'unfinished' and w.list not like '%/%'
where r.state = 'done' and r.id = (select max(l.id) from run l where l.pipeline = r.pipeline and l.state = 'done') group by r.id
union all
select 'gap:' || pipeline || ':' || target || ':' || list, 'gap', pipeline,
  'the ' || list || ' of ' || target || ' could not be walked to the end in ' || cuts || ' runs: ' || note, ended_at
from walk where state = 'unfinished' and cuts > 1 and list not like '%/%'
union all
select 'dead:' || pipeline || ':' || what || ':' || day, 'dead', pipeline,
  pipeline || ' has given up ' || n || ' ' || what || iif(n = 1, '', 's') || ' (`sumbi jobs list` shows them), the last: '
  || (select l.name || ': ' || coalesce(l.reason, '') from v_dead l where l.pipeline = d.pipeline and l.what = d.what and coalesce(substr(l.at, 1, 10), '') = d.day
      order by l.at desc, l.id desc limit 1), at
from (select pipeline, what, coalesce(substr(at, 1, 10), '') as day, count(*) as n, max(at) as at from v_dead group by pipeline, what, coalesce(substr(at, 1, 10), '')) d
union all
select 'silent:' || pipeline || ':' || target || ':' || silent_since, 'silent', pipeline,
  target || ' of ' || pipeline || ' has shown nothing new since ' || substr(silent_since, 1, 10) || ', far longer than usual; look whether it has moved', silent_since
from target where silent_since is not null and state = 'ok';

create view v_books as
select day, run, upstream, what, n, micro_usd, 0 as wasted_n, 0 as wasted_micro_usd from usage
union all
select day, run, upstream, what, 0, 0, n, micro_usd from waste;

create view v_spend as
select day, upstream,
  sum(case when what = 'request' then n else 0 end) as requests,
  sum(case when what = 'input_token' then n else 0 end) as input_tokens,
  sum(case when what = 'output_token' then n else 0 end) as output_tokens,
  sum(micro_usd) as micro_usd,
  sum(case when what = 'refused' then wasted_n else 0 end) as refused,
  sum(case when what = 'repeated' then wasted_n else 0 end) as repeated,
  sum(case when what = 'failed' then wasted_n else 0 end) as failed,
  sum(wasted_micro_usd) as wasted_micro_usd
from v_books group by day, upstream;

create view v_run_spend as
select run, upstream,
  sum(case when what = 'request' then n else 0 end) as requests,
  sum(case when what = 'input_token' then n else 0 end) as input_tokens,
  sum(case when what = 'output_token' then n else 0 end) as output_tokens,
  sum(micro_usd) as micro_usd,
  sum(case when what = 'refused' then wasted_n else 0 end) as refused,
  sum(case when what = 'repeated' then wasted_n else 0 end) as repeated,
  sum(case when what = 'failed' then wasted_n else 0 end) as failed,
  sum(wasted_micro_usd) as wasted_micro_usd
from v_books group by run, upstream;
