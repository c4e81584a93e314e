package access

import (
	"slices"
	"strings"

	"github.com/objmount/objmount/backend"
)

// aclActions are what a permission of a bucket's ACL lets somebody do (S3 user guide, "Access control list (ACL) overview",
// "Mapping of ACL permissions and access policy permissions"). The second list is for stores where it reaches the objects, too.
var aclActions = map[string][2][]string{
	"READ":      {{"ListBucket", "ListBucketVersions", "ListBucketMultipartUploads"}, {"GetObject", "GetObjectVersion"}},
	"WRITE":     {{"PutObject"}, {"DeleteObject"}},
	"READ_ACP":  {{"GetBucketAcl"}, nil},
	"WRITE_ACP": {{"PutBucketAcl"}, nil},
}

// aclPermissions are those of a grant.
func aclPermissions(permission string) []string {
	if permission == "FULL_CONTROL" {
		return []string{"READ", "WRITE", "READ_ACP", "WRITE_ACP"}
	}
	return []string{permission}
}

// grantedActions are what a grant lets somebody do.
func grantedActions(acl *backend.ACL, g backend.Grant) []action {
	var names []string
	for _, permission := range aclPermissions(g.Permission) {
		names = append(names, aclActions[permission][0]...)
		if acl.Reaches {
			names = append(names, aclActions[permission][1]...)
		}
	}
	return slices.DeleteFunc(slices.Clone(actions), func(a action) bool { return !slices.Contains(names, a.name) })
}

// aclOpens are the ways that the ACL opens to everybody for an action.
func aclOpens(a action, in Input) []grant {
	if in.ACL == nil || in.Block.IgnorePublicAcls {
		return nil
	}
	for _, g := range in.ACL.Grants {
		if g.Grantee == backend.Everybody && slices.ContainsFunc(grantedActions(in.ACL, g), func(b action) bool { return a.name == b.name }) {
			return []grant{{action: a, area: everything(), by: "ACL"}}
		}
	}
	return nil
}

// explainGrants tells the grants of the ACL, but for the owner's own.
func explainGrants(in Input) []Statement {
	if in.ACL == nil {
		return nil
	}
	var all []Statement
	for _, g := range in.ACL.Grants {
		if g.Grantee == in.ACL.Owner {
			continue
		}
		some := grantedActions(in.ACL, g)
		out := Statement{Effect: "allow", Who: granteeWords(g), May: phrases(some)}
		out.Text = capital(out.Who) + " may " + grantWords(some) + "."
		if out.Public = g.Grantee == backend.Everybody || g.Grantee == backend.EveryUser; out.Public && in.Block.IgnorePublicAcls {
			out.Void = "the public access block (IgnorePublicAcls) takes ACLs that let everybody in as if they were not there"
		}
		all = append(all, out)
	}
	return all
}

func granteeWords(g backend.Grant) string {
	switch g.Grantee {
	case backend.Everybody:
		return "everybody"
	case backend.EveryUser:
		return "every user of the store, of any account,"
	case backend.LogDelivery:
		return "the log delivery of Amazon"
	}
	if g.Name != "" {
		return "the account " + shown(g.Name)
	}
	return "the account " + shown(g.Grantee)
}

func grantWords(some []action) string {
	var all []string
	if objects := withScope(some, ofObjects, ofListing); len(objects) > 0 {
		all = append(all, join(phrases(objects), "and")+" all objects")
	}
	if bucket := withScope(some, ofBucket); len(bucket) > 0 {
		all = append(all, join(phrases(bucket), "and"))
	}
	return strings.Join(all, ", and ")
}

// usersMay says what the ACL lets everybody do who has any account; empty: nothing.
func usersMay(in Input) string {
	if in.ACL == nil || in.Block.IgnorePublicAcls {
		return ""
	}
	var some []action
	for _, g := range in.ACL.Grants {
		if g.Grantee == backend.EveryUser {
			some = append(some, grantedActions(in.ACL, g)...)
		}
	}
	if len(some) == 0 {
		return ""
	}
	return "Every user of the store, of any account, can " + grantWords(some) + "."
}
