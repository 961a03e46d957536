package instagram

import (
	"context"
	"errors"
	"net/url"

	"sumbi/adapters"
)

// Count returns how many posts an account says it has, by one call of its profile; 0 when the upstream does not say. The
// reels that are not in the grid are not among them. Errors that end a list are Permanent with the reason gone or private.
func (s *Source) Count(ctx context.Context, target string) (int, error) {
	account, err := Account(target)
	if err != nil {
		return 0, fail(adapters.Permanent, "", err)
	}
	profile, err := s.get(ctx, "/info", url.Values{"username_or_id_or_url": {account}})
	if e, ok := errors.AsType[*adapters.Error](err); ok && e.Reason == adapters.ReasonPath {
		// Not every provider of the family has /info. The first page of the posts tells it, too.
		p, err := s.Fetch(ctx, adapters.Query{List: ListPosts, Target: account})
		return p.Total, err
	}
	if err != nil {
		return 0, err
	}
	u := profile.user
	switch {
	case bool(u.IsPrivate):
		return 0, fail(adapters.Permanent, adapters.ReasonPrivate, errors.New("the account is private"))
	case u.Username.text == "" && u.ID.text == "":
		return 0, profile.refusal()
	}
	return max(0, int(u.MediaCount.or(0))), nil
}
