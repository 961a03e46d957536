package pgtest

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Copy writes what is committed at one address to an empty database of the same schema, while others go on writing: what a
// power cut now would leave. The machines that work there are long gone in the copy. River's own rows are left out.
func Copy(ctx context.Context, from, to string) error {
	source, err := pgx.Connect(ctx, from)
	if err != nil {
		return err
	}
	defer func() { _ = source.Close(ctx) }()
	target, err := pgx.Connect(ctx, to)
	if err != nil {
		return err
	}
	defer func() { _ = target.Close(ctx) }()
	moment, err := source.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return err
	}
	defer func() { _ = moment.Rollback(ctx) }()
	return pgx.BeginFunc(ctx, target, func(t pgx.Tx) error { return copyInto(ctx, moment, t) })
}

func copyInto(ctx context.Context, source, target pgx.Tx) error {
	tables, err := texts(ctx, source, `select quote_ident(relname) from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r' and relname not like 'river%'`)
	if err != nil {
		return err
	}
	var which []string
	for _, t := range tables {
		which = append(which, fmt.Sprintf("select '%s' where exists (select 1 from %s)", t, t))
	}
	if tables, err = texts(ctx, source, strings.Join(which, " union all ")); err != nil {
		return err
	}
	if _, err := target.Exec(ctx, `delete from meta`); err != nil {
		return err
	}
	for _, t := range tables {
		var rows bytes.Buffer
		if _, err := source.Conn().PgConn().CopyTo(ctx, &rows, "copy "+t+" to stdout (format binary)"); err != nil {
			return err
		}
		if _, err := target.Conn().PgConn().CopyFrom(ctx, &rows, "copy "+t+" from stdin (format binary)"); err != nil {
			return err
		}
	}
	set, err := texts(ctx, source, `select format('select setval(%L, %s)', quote_ident(sequencename), last_value) from pg_sequences where schemaname = 'public' and last_value is not null and sequencename not like 'river%'`)
	if err != nil {
		return err
	}
	for _, s := range append(set, `update machine set seen_at = '1970-01-01T00:00:00.000Z'`) {
		if _, err := target.Exec(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

func texts(ctx context.Context, t pgx.Tx, query string) ([]string, error) {
	rows, err := t.Query(ctx, query)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}
