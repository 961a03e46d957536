package mongo

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// document turns a JSON object into the fields to set, in its own order: moments become dates, whole numbers stay whole,
// measures become doubles. The _id and optional fields that are null are left out.
func document(data []byte) (bson.D, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	v, err := value(dec, "", 0)
	if err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("the data go on after the JSON object")
	}
	doc, ok := v.(bson.D)
	if !ok {
		return nil, errors.New("the data are not a JSON object")
	}
	out := doc[:0]
	for _, e := range doc {
		// In $set a dot means a field within a field, and a dollar an operator.
		if e.Key == "" || strings.HasPrefix(e.Key, "$") || strings.Contains(e.Key, ".") {
			return nil, fmt.Errorf("the field name %q is not possible", e.Key)
		}
		if e.Key == "_id" || e.Value == nil && slices.Contains(optional(), e.Key) {
			continue
		}
		out = append(out, e)
	}
	return out, nil
}

// MongoDB refuses documents that are nested more deeply.
const maxDepth = 100

// value reads one JSON value. The key is the name under which it stands, also within lists.
func value(dec *json.Decoder, key string, depth int) (any, error) {
	if depth > maxDepth {
		return nil, errors.New("the data are nested too deeply")
	}
	token, err := dec.Token()
	if err != nil {
		return nil, fmt.Errorf("the data are not JSON: %w", err)
	}
	switch t := token.(type) {
	case json.Delim:
		if t == '{' {
			return object(dec, depth)
		}
		return list(dec, key, depth)
	case json.Number:
		return number(t, key)
	case string:
		return text(t, key), nil
	default: // bool, nil
		return t, nil
	}
}

func object(dec *json.Decoder, depth int) (any, error) {
	doc, at := bson.D{}, map[string]int{}
	for dec.More() {
		token, err := dec.Token()
		if err != nil {
			return nil, fmt.Errorf("the data are not JSON: %w", err)
		}
		key := token.(string) // the decoder lets nothing else pass here
		if strings.ContainsRune(key, 0) {
			return nil, fmt.Errorf("the field name %q is not possible", key)
		}
		v, err := value(dec, key, depth+1)
		if err != nil {
			return nil, err
		}
		if i, twice := at[key]; twice {
			doc[i].Value = v
			continue
		}
		at[key] = len(doc)
		doc = append(doc, bson.E{Key: key, Value: v})
	}
	if _, err := dec.Token(); err != nil {
		return nil, fmt.Errorf("the data are not JSON: %w", err)
	}
	return doc, nil
}

func list(dec *json.Decoder, key string, depth int) (any, error) {
	out := bson.A{}
	for dec.More() {
		v, err := value(dec, key, depth+1)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	if _, err := dec.Token(); err != nil {
		return nil, fmt.Errorf("the data are not JSON: %w", err)
	}
	return out, nil
}

func number(n json.Number, key string) (any, error) {
	if !slices.Contains([]string{"coordinates", "score", "lat", "lng"}, key) {
		if i, err := strconv.ParseInt(n.String(), 10, 64); err == nil {
			if i == int64(int32(i)) {
				return int32(i), nil
			}
			return i, nil
		}
	}
	f, err := n.Float64()
	if err != nil {
		return nil, fmt.Errorf("the number %s is too large", n)
	}
	return f, nil
}

func text(s, key string) any {
	for _, moment := range []string{"takenAt", "firstSeen", "lastSeen", "releasedAt", "attemptedAt", "tokenDeadSince"} {
		if strings.HasSuffix(key, moment) {
			if t, err := time.Parse(time.RFC3339, s); err == nil {
				return bson.NewDateTimeFromTime(t)
			}
		}
	}
	return s
}
