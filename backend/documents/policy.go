package documents

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
)

// maxPolicy is the longest policy of Amazon S3, in bytes (IAM user guide, "Bucket policies").
const maxPolicy = 20 << 10

// The names of a policy (IAM user guide, "IAM JSON policy element reference").
var (
	policyNames    = []string{"Version", "Id", "Statement"}
	statementNames = []string{"Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition"}
)

// parsePolicy checks the skeleton of a policy. What actions and conditions there are, the store knows.
func parsePolicy(document []byte) ([]byte, error) {
	if bytes.HasPrefix(bytes.TrimSpace(document), []byte("<")) {
		return nil, wrong(1, "", "a policy is JSON, not XML")
	}
	root, err := jsonTree(document)
	if err != nil {
		return nil, err
	}
	if len(root.members) == 1 && root.members[0].name == "Policy" && root.members[0].kind == isString { // aws s3api get-bucket-policy prints it so
		document = []byte(root.members[0].text)
		if root, err = jsonTree(document); err != nil {
			return nil, fmt.Errorf("in Policy: %w", err)
		}
	}
	if root.kind != isObject {
		return nil, wrong(root.line, "the policy", fmt.Sprintf("is %s; want %s", root.kind, isObject))
	}
	if err := root.onlyOnce("the policy", policyNames); err != nil {
		return nil, err
	}
	if v := root.member("Version"); v != nil && v.text != "2012-10-17" && v.text != "2008-10-17" {
		return nil, wrong(v.line, "Version", fmt.Sprintf("is %q; allowed: 2012-10-17, 2008-10-17", v.text))
	}
	statements := root.member("Statement")
	if statements == nil {
		return nil, wrong(root.line, "the policy", "has no Statement")
	}
	all := statements.items
	if statements.kind == isObject {
		all = []*node{statements}
	}
	if len(all) == 0 {
		return nil, wrong(statements.line, "Statement", "is empty; objmount ctl policy delete removes a policy")
	}
	for i, s := range all {
		if err := s.statement(fmt.Sprintf("Statement[%d]", i)); err != nil {
			return nil, err
		}
	}
	return layPolicy(document)
}

// layPolicy writes a policy that is right in the usual order, and with a list of statements: VersityGW and MinIO take no single one.
func layPolicy(document []byte) ([]byte, error) {
	var parts map[string]json.RawMessage
	if err := json.Unmarshal(document, &parts); err != nil {
		return nil, err
	}
	if s := parts["Statement"]; s[0] == '{' {
		parts["Statement"] = slices.Concat([]byte("["), s, []byte("]"))
	}
	var short, long bytes.Buffer
	for _, name := range policyNames {
		if part, ok := parts[name]; ok {
			short.WriteString(`,"` + name + `":`)
			if err := json.Compact(&short, part); err != nil {
				return nil, err
			}
		}
	}
	short.Bytes()[0] = '{'
	short.WriteByte('}')
	if short.Len() > maxPolicy {
		return nil, fmt.Errorf("the policy has %d bytes; it may have %d", short.Len(), maxPolicy)
	}
	err := json.Indent(&long, short.Bytes(), "", indentation)
	return append(long.Bytes(), '\n'), err
}

func (n *node) statement(path string) error {
	if n.kind != isObject {
		return wrong(n.line, path, fmt.Sprintf("is %s; want %s", n.kind, isObject))
	}
	if err := n.onlyOnce(path, statementNames); err != nil {
		return err
	}
	effect := n.member("Effect")
	if effect == nil {
		return wrong(n.line, path, "has no Effect")
	}
	if effect.text != "Allow" && effect.text != "Deny" {
		return wrong(effect.line, path+".Effect", fmt.Sprintf("is %q; allowed: Allow, Deny", effect.text))
	}
	for _, name := range []string{"Principal", "Action", "Resource"} {
		if n.gives(name) == n.gives("Not"+name) {
			return wrong(n.line, path, fmt.Sprintf("needs exactly one of %s, Not%s", name, name))
		}
	}
	return nil
}

// gives reports whether there is a member with something in it: MinIO answers an empty Resource beside every NotResource.
func (n *node) gives(name string) bool {
	m := n.member(name)
	return m != nil && (m.kind != isArray || len(m.items) > 0)
}

// onlyOnce wants members of these names, none twice.
func (n *node) onlyOnce(path string, allowed []string) error {
	seen := map[string]bool{}
	for _, m := range n.members {
		if !slices.Contains(allowed, m.name) {
			return unknown(m.line, path, m.name, allowed)
		}
		if seen[m.name] {
			return wrong(m.line, path, fmt.Sprintf("has %q twice", m.name))
		}
		seen[m.name] = true
	}
	return nil
}

func (n *node) member(name string) *node {
	for _, m := range n.members {
		if m.name == name {
			return m.node
		}
	}
	return nil
}
