-- What PostgreSQL needs before it understands schema.sql, whose types are translated: SQLite's functions that the views and
-- statements use, for the few forms in which they use them.

create or replace function json_extract(document text, path text) returns text language sql immutable as $$
  select document::json #>> string_to_array(replace(replace(replace(substr(path, 3), '].', ','), '[', ','), ']', ''), ',')
$$;

create or replace function json_valid(document text) returns boolean language plpgsql immutable as $$
begin
  if document is null then return null; end if;
  perform document::json;
  return true;
exception when others then
  return false;
end $$;

create or replace function json_each(document text) returns table (key bigint, value text) language sql immutable as $$
  select ordinality - 1, value from json_array_elements_text(document::json) with ordinality
$$;

create or replace function json_array_length(document text) returns integer language sql immutable as $$
  select json_array_length(document::json)
$$;

create or replace function strftime(format text) returns text language sql volatile as $$
  select to_char(clock_timestamp() at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
$$;

create or replace function ago(seconds integer) returns text language sql volatile as $$
  select to_char((clock_timestamp() - make_interval(secs => seconds)) at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
$$;

create or replace function instr(whole text, part text) returns integer language sql immutable as $$
  select strpos(whole, part)
$$;

create or replace function iif(condition boolean, yes text, no text) returns text language sql immutable as $$
  select case when condition then yes else no end
$$;

create or replace function round(n double precision, digits integer) returns double precision language sql immutable as $$
  select round(n::numeric, digits)::double precision
$$;

create or replace function group_concat_next(so_far text, item text, separator text) returns text language sql immutable as $$
  select case when so_far is null then item when item is null then so_far else so_far || separator || item end
$$;

create or replace aggregate group_concat(item text, separator text) (sfunc = group_concat_next, stype = text);

-- Instants of the shared limits are microseconds since 1970.
create or replace function microseconds(moment timestamptz) returns bigint language sql immutable as $$
  select (extract(epoch from moment) * 1000000)::bigint
$$;

create or replace function korean_day(microseconds bigint) returns text language sql stable as $$
  select to_char(to_timestamp(microseconds / 1000000.0) at time zone 'Asia/Seoul', 'YYYY-MM-DD')
$$;

-- What the machines have set apart, in micro-dollars, for calls that are under way and not in the books yet: what they were
-- granted, and what of that has become free. That of a machine that is gone no longer counts.
create table if not exists apart (
  machine text   not null,
  run     bigint not null,
  granted bigint not null,
  freed   bigint not null default 0,
  primary key (machine, run)
);

-- Grants cost to a machine when it fits into the budgets (0: none), and takes in what has become free of a run. The lock lets each see what the one before was granted.
create or replace function set_apart(who text, of_pipeline text, cost bigint, run_budget bigint, month_budget bigint, first_day text, last_day text, freed_run bigint, freed_by_now bigint,
  out granted boolean, out open_run bigint, out run_booked bigint, out run_reserved bigint, out run_apart bigint, out month_booked bigint, out month_reserved bigint, out month_apart bigint)
language plpgsql volatile as $$
begin
  perform pg_advisory_xact_lock(1937075558);
  update apart set freed = greatest(freed, freed_by_now) where machine = who and run = freed_run and freed < freed_by_now;
  select coalesce(max(id), 0) into open_run from run where pipeline = of_pipeline and state <> 'done';
  select coalesce(sum(case when u.run = open_run then micro_usd end), 0), coalesce(sum(case when day between first_day and last_day then micro_usd end), 0)
    into run_booked, month_booked from usage u where u.run = open_run or day between first_day and last_day;
  select coalesce(sum(case when b.run = open_run then reserved end), 0), coalesce(sum(reserved), 0)
    into run_reserved, month_reserved from batch b where state not in ('done', 'refused');
  select coalesce(sum(case when a.run = open_run then a.granted - a.freed end), 0), coalesce(sum(a.granted - a.freed), 0)
    into run_apart, month_apart from apart a join machine m on m.id = a.machine;
  granted := (month_budget <= 0 or month_booked + month_reserved + month_apart + cost <= month_budget)
    and (run_budget <= 0 or open_run = 0 or run_booked + run_reserved + run_apart + cost <= run_budget);
  if granted then
    insert into apart as a (machine, run, granted) values (who, open_run, cost) on conflict (machine, run) do update set granted = a.granted + excluded.granted;
  end if;
end $$;
