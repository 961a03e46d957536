-- An upstream that does not answer as it should.
create table outage (
  upstream text primary key,
  since    text    not null,
  next_at  text    not null,
  reason   text    not null,
  jobs     integer not null default 0
) strict;
