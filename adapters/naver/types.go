package naver

import (
	"encoding/json"
	"strings"
)

// answer is what both dialects answer with. The fault is there when an error comes with status 200.
type answer struct {
	Items []item `json:"items"`
	fault
}

type item struct {
	Title       string `json:"title"`
	Link        string `json:"link"`
	Category    string `json:"category"`
	Telephone   string `json:"telephone"`
	Address     string `json:"address"`
	RoadAddress string `json:"roadAddress"`
	MapX        scalar `json:"mapx"`
	MapY        scalar `json:"mapy"`
}

// fault is every shape of an error body: errorMessage is the search's own, message the gateway's, which may also put
// the whole into error.
type fault struct {
	ErrorCode    scalar `json:"errorCode"`
	ErrorMessage string `json:"errorMessage"`
	Message      string `json:"message"`
	Error        *fault `json:"error"`
}

// scalar reads a string or a number as text.
type scalar string

// UnmarshalJSON implements json.Unmarshaler.
func (s *scalar) UnmarshalJSON(data []byte) error {
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		text = strings.TrimSpace(string(data))
	}
	*s = scalar(text)
	return nil
}
