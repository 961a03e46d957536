-- How often a suspect ended its process.
alter table job add column died integer not null default 0;
