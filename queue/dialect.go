package queue

import (
	_ "embed"
	"regexp"
	"strings"
)

// What the two engines say differently, side by side. Everything else is one text, with `?` for each value: PostgreSQL's driver
// is handed $1, $2 and so on.
var (
	// sizeText is the size of the state in bytes.
	sizeText = text2{
		sqlite:   `(select page_count from pragma_page_count) * (select page_size from pragma_page_size)`,
		postgres: `pg_database_size(current_database())`,
	}

	// takenIndex names the index of the few jobs in flight, which SQLite would not choose among a million that wait.
	takenIndex = text2{sqlite: `indexed by job_taken`, postgres: ``}

	// firstJoin joins a few rows with a table through its index, which SQLite needs to be told.
	firstJoin = text2{sqlite: `cross join`, postgres: `join`}

	// byNumber finds rows by their numbers, which SQLite would not choose beside an index of something else that is asked for.
	byNumber = text2{sqlite: `not indexed`, postgres: ``}

	// lockRecords keeps others from changing the records that a page shows, in an order that is everybody's.
	lockRecords = text2{sqlite: ``, postgres: ` order by r.id for update of r`}

	// lockJobs keeps a job from being taken, or put back, between a look at it and what is written then.
	lockJobs = text2{sqlite: ``, postgres: ` for update`}

	// apartOf is what all machines have set apart for a run, and for all; over a file only this process knows of what is.
	apartOf = text2{
		sqlite:   `?*0, 0`,
		postgres: `(select coalesce(sum(a.granted - a.freed), 0) from apart a join machine m on m.id = a.machine where a.run = ?), (select coalesce(sum(a.granted - a.freed), 0) from apart a join machine m on m.id = a.machine)`,
	}

	// newestReason is why the job of a group that is due last waits.
	newestReason = text2{
		sqlite:   `substr(j.err, 9), max(due)`, // a bare column is of the row with the maximum
		postgres: `(array_agg(substr(j.err, 9) order by due desc))[1], max(due)`,
	}

	// candidatesView is the part of v_mentions that reads lists within lists.
	candidatesView = text2{
		sqlite: `select json_group_array(json_object('name', coalesce(c.name, 'no longer kept'), 'address', coalesce(nullif(c.road_address, ''), c.address), 'link', coalesce(c.link, x.value ->> 3),
      'finder', coalesce(c.finder, iif(typeof(x.value ->> 0) = 'text', x.value ->> 0, null)), 'score', x.value ->> 1, 'why', y.text))
    from json_each(m.candidates) x left join candidate c on c.id = x.value ->> 0 left join wording y on y.id = x.value ->> 2`,
		postgres: `select '[' || string_agg(concat('{"name":', to_json(coalesce(c.name, 'no longer kept')), ',"address":', coalesce(to_json(coalesce(nullif(c.road_address, ''), c.address))::text, 'null'),
      ',"link":', coalesce(to_json(coalesce(c.link, x.value::json ->> 3))::text, 'null'), ',"finder":', coalesce(to_json(coalesce(c.finder, case when json_typeof(x.value::json -> 0) = 'string' then x.value::json ->> 0 end))::text, 'null'),
      ',"score":', x.value::json -> 1, ',"why":', coalesce(to_json(y.text)::text, 'null'), '}'), ',' order by x.key) || ']'
    from json_each(m.candidates) x left join candidate c on c.id = case when json_typeof(x.value::json -> 0) = 'number' then (x.value::json ->> 0)::bigint end
    left join wording y on y.id = (x.value::json ->> 2)::bigint`,
	}

	// queriesView is the other one.
	queriesView = text2{
		sqlite:   `select json_group_array(json_object('finder', x.value ->> 0, 'query', x.value ->> 1, 'found', x.value ->> 2)) from json_each(m.queries) x`,
		postgres: `select '[' || string_agg(concat('{"finder":', x.value::json -> 0, ',"query":', x.value::json -> 1, ',"found":', x.value::json -> 2, '}'), ',' order by x.key) || ']' from json_each(m.queries) x`,
	}
)

// text2 is one thing in two languages.
type text2 struct{ sqlite, postgres string }

// in returns the text in the language of s.
func (t text2) in(s *Store) string {
	if s.pg != nil {
		return t.postgres
	}
	return t.sqlite
}

//go:embed postgres.sql
var postgresSQL string

var (
	sqlComment = regexp.MustCompile(`--[^\n]*`)
	// goqite carries what is ready in a file; on PostgreSQL River does, with tables of its own.
	goqiteSchema = regexp.MustCompile(`(?s)create table goqite \(.*?create index goqite_[^;]*;`)
)

// schemaForPostgres translates schema.sql. Texts are compared byte by byte on both.
func schemaForPostgres(schema string) string {
	s := goqiteSchema.ReplaceAllString(sqlComment.ReplaceAllString(schema, ""), "")
	views := strings.Index(s, "create view")
	rest := s[views:]
	for _, t := range []text2{candidatesView, queriesView, {`char(10)`, `chr(10)`}} {
		rest = strings.ReplaceAll(rest, t.sqlite, t.postgres)
	}
	return tablesForPostgres(s[:views]) + strings.ReplaceAll(rest, "create view", "create or replace view")
}

// tablesForPostgres translates statements that make or change tables.
func tablesForPostgres(tables string) string {
	for _, r := range []struct{ from, to string }{
		{`\) strict(, without rowid)?;`, `);`},
		{`(?m)\b(add column \w+\s+)integer\b`, `${1}bigint`},
		{`(?m)\b(add column \w+\s+)real\b`, `${1}double precision`},
		{`(?m)\b(add column \w+\s+)blob\b`, `${1}bytea`},
		{`(?m)\b(add column \w+\s+)text\b`, `${1}text collate "C"`},
		{`(?m)^(\s+\w+\s+)integer primary key( autoincrement)?`, `${1}bigint generated by default as identity primary key`},
		{`(?m)^(\s+\w+\s+)integer\b`, `${1}bigint`},
		{`(?m)^(\s+\w+\s+)real\b`, `${1}double precision`},
		{`(?m)^(\s+\w+\s+)blob\b`, `${1}bytea`},
		{`(?m)^(\s+\w+\s+)text\b`, `${1}text collate "C"`},
	} {
		tables = regexp.MustCompile(r.from).ReplaceAllString(tables, r.to)
	}
	return tables
}
