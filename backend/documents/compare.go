package documents

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/objmount/objmount/backend"
)

// Comparable returns a document in a form in which two that mean the same are the same text, also where a store answers it in another
// form than it was given. That is so of policies (MinIO makes lists of all texts, and orders them): a text is a list of one, the order
// of actions, resources, principals and values of conditions does not count, nor does that of members, and {"AWS": "*"} is "*" (IAM user
// guide, "AWS JSON policy elements: Principal"). The order of statements stays. A document of another kind, or that is no policy, is
// returned as it is.
func Comparable(doc backend.BucketDoc, document []byte) []byte {
	if doc != backend.PolicyDoc {
		return document
	}
	d := json.NewDecoder(bytes.NewReader(document))
	d.UseNumber()
	var policy map[string]any
	if d.Decode(&policy) != nil || policy == nil {
		return document
	}
	if id, ok := policy["ID"]; ok && policy["Id"] == nil { // of MinIO
		delete(policy, "ID")
		policy["Id"] = id
	}
	statements := []json.RawMessage{}
	for _, s := range list(policy["Statement"]) {
		members, ok := s.(map[string]any)
		if !ok {
			return document
		}
		statements = append(statements, inOrder(comparableStatement(members), statementNames))
	}
	policy["Statement"] = statements
	var short, long bytes.Buffer
	e := json.NewEncoder(&short)
	e.SetEscapeHTML(false)
	if e.Encode(inOrder(policy, policyNames)) != nil || json.Indent(&long, bytes.TrimSpace(short.Bytes()), "", indentation) != nil {
		return document
	}
	return append(long.Bytes(), '\n')
}

func comparableStatement(s map[string]any) map[string]any {
	for name, value := range s {
		switch name {
		case "Principal", "NotPrincipal":
			s[name] = comparablePrincipal(value)
		case "Action", "NotAction", "Resource", "NotResource":
			s[name] = texts(value)
		case "Condition":
			operators, _ := value.(map[string]any)
			for operator, keys := range operators {
				operators[operator] = eachAsTexts(keys)
			}
		}
		if empty(s[name]) {
			delete(s, name)
		}
	}
	return s
}

// empty reports whether a member says nothing: MinIO answers an empty Resource beside every NotResource.
func empty(value any) bool {
	switch v := value.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case []string:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	}
	return false
}

func comparablePrincipal(value any) any {
	kinds, ok := value.(map[string]any)
	if !ok {
		kinds = map[string]any{"AWS": value}
	}
	eachAsTexts(kinds)
	if all, _ := kinds["AWS"].([]string); len(kinds) == 1 && len(all) == 1 && all[0] == "*" {
		return "*"
	}
	return kinds
}

func eachAsTexts(value any) any {
	members, _ := value.(map[string]any)
	for name, value := range members {
		members[name] = texts(value)
	}
	return value
}

// texts are one text or a list of them, ordered, each once. true is "true", and 7 is "7".
func texts(value any) any {
	var all []string
	for _, item := range list(value) {
		switch item.(type) {
		case string, json.Number, bool:
			all = append(all, fmt.Sprint(item))
		default:
			return value
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func list(value any) []any {
	switch v := value.(type) {
	case nil:
		return nil
	case []any:
		return v
	}
	return []any{value}
}

// inOrder writes the members with these names first, and others behind them.
func inOrder(members map[string]any, names []string) json.RawMessage {
	all := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return members[name] == nil })
	for _, name := range slices.Sorted(maps.Keys(members)) {
		if !slices.Contains(names, name) {
			all = append(all, name)
		}
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	for i, name := range all {
		b.WriteByte("{,"[min(i, 1)])
		writeString(&b, name)
		b.WriteByte(':')
		_ = e.Encode(members[name]) // it was read from JSON
	}
	if len(all) == 0 {
		b.WriteByte('{')
	}
	b.WriteByte('}')
	return b.Bytes()
}
