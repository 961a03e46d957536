package match

// Queries returns what to search for a mention, best first and without repeats: the name with the area, with the
// branch, and alone. It is empty when there is no usable name.
func Queries(m Mention) []string {
	name := clean(m.Name)
	if compact(name) == "" {
		return nil
	}
	var qs []string
	if m.Area != "" {
		qs = append(qs, clean(m.Area)+" "+name)
	}
	if m.Branch != "" {
		qs = append(qs, name+" "+clean(m.Branch))
	}
	return append(qs, name)
}
