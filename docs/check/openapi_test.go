package check_test

import (
	"os"
	"testing"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
)

// TestOpenAPI wants the description of the API to be one by the rules of OpenAPI 3.1.
func TestOpenAPI(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("../../web/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	d, err := libopenapi.NewDocument(b)
	if err != nil {
		t.Fatal(err)
	}
	v, errs := validator.NewValidator(d)
	for _, err := range errs {
		t.Error(err)
	}
	if t.Failed() {
		return
	}
	if ok, problems := v.ValidateDocument(); !ok {
		for _, p := range problems {
			t.Errorf("%s %s", p.Message, p.Reason)
			for _, s := range p.SchemaValidationErrors {
				t.Errorf("  %s: %s", s.FieldPath, s.Reason)
			}
		}
	}
	if d.GetVersion() != "3.1.0" {
		t.Errorf("it says that it is %s", d.GetVersion())
	}
}
