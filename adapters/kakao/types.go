package kakao

import (
	"encoding/json"
	"strings"
)

// answer is a page of places. The fault is there when an error comes with status 200.
type answer struct {
	Documents []document `json:"documents"`
	fault
}

type document struct {
	ID              scalar `json:"id"`
	PlaceName       string `json:"place_name"`
	CategoryName    string `json:"category_name"`
	Phone           string `json:"phone"`
	AddressName     string `json:"address_name"`
	RoadAddressName string `json:"road_address_name"`
	PlaceURL        string `json:"place_url"`
	X               scalar `json:"x"` // longitude
	Y               scalar `json:"y"` // latitude
}

// fault is both error bodies: errorType and message are Local's, code and msg those of the platform.
type fault struct {
	ErrorType string `json:"errorType"`
	Message   string `json:"message"`
	Code      scalar `json:"code"`
	Msg       string `json:"msg"`
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
