package test

// A capability is one thing that a storage API can do and that users of the mount must be able to do.
type capability struct {
	id        string // what tests name it by
	operation string // in the words of the API
	door      string // path, xattr, version, ctl or config
	form      string // how a user does it
}

// An api is where capabilities come from.
type api struct {
	title string
	rows  []capability
}

// apis is the whole mission. A row that no test covers shows as missing in docs/capabilities.md.
var apis = []api{
	{"MinIO Python client", []capability{
		{"config.remotes", "constructor: endpoint, keys, session, region, proxy, CA, timeouts, retries, credential providers", "config", "named remotes in the config file; flags of `mount`"},
		{"path.make-bucket", "make_bucket", "path", "`mkdir` in a mount of `s3://`"},
		{"ctl.make-bucket", "make_bucket(location, object_lock)", "ctl", "`ctl bucket create --region --object-lock`"},
		{"path.buckets", "list_buckets, bucket_exists, remove_bucket", "path", "`ls`, `stat`, `rmdir` in a mount of `s3://`"},
		{"ctl.buckets", "list_buckets, bucket_exists, remove_bucket", "ctl", "`ctl bucket list|show|delete`"},
		{"path.list", "list_objects(prefix, recursive)", "path", "`ls`, `find`"},
		{"ctl.list", "list_objects(start_after, include_user_meta, include_version, ...)", "ctl", "`ctl object list`"},
		{"version.list", "list_objects(include_version)", "version", "`ls DIR/.versions/NAME`"},
		{"ctl.versions.list", "list_objects(include_version)", "ctl", "`ctl versions list`"},
		{"ctl.policy", "get/set/delete_bucket_policy", "ctl", "`ctl policy`"},
		{"ctl.notification", "get/set/delete_bucket_notification", "ctl", "`ctl notification`"},
		{"ctl.listen", "listen_bucket_notification", "ctl", "`ctl listen`"},
		{"ctl.encryption", "get/set/delete_bucket_encryption", "ctl", "`ctl encryption`"},
		{"config.encryption", "SSE-S3, SSE-KMS, SSE-C; ssec of get, put and stat", "config", "encryption per remote or prefix"},
		{"xattr.bucket.encryption", "get_bucket_encryption", "xattr", "`user.s3.bucket.encryption`"},
		{"ctl.versioning", "get/set_bucket_versioning", "ctl", "`ctl versioning`"},
		{"xattr.bucket.versioning", "get/set_bucket_versioning", "xattr", "`user.s3.bucket.versioning`"},
		{"ctl.replication", "get/set/delete_bucket_replication", "ctl", "`ctl replication`"},
		{"xattr.replication", "replication status of an object", "xattr", "`user.s3.replication`"},
		{"ctl.lifecycle", "get/set/delete_bucket_lifecycle", "ctl", "`ctl lifecycle`"},
		{"ctl.bucket-tags", "get/set/delete_bucket_tags", "ctl", "`ctl tags` on a bucket"},
		{"xattr.bucket.tags", "get/set/delete_bucket_tags", "xattr", "`user.s3.tag.KEY` on a bucket's directory"},
		{"ctl.object-lock", "get/set/delete_object_lock_config", "ctl", "`ctl lock`"},
		{"xattr.bucket.object-lock", "get_object_lock_config", "xattr", "`user.s3.bucket.object-lock`"},
		{"path.get", "get_object(offset, length)", "path", "`cat`, `dd skip=`, `mmap`"},
		{"version.get", "get_object(version_id)", "version", "`cat DIR/.versions/NAME/VERSION`"},
		{"version.pinned", "get_object of the version that is open", "version", "an open file keeps its version while others overwrite or delete it"},
		{"version.at", "the bucket as it was", "version", "`objmount mount --at TIME`"},
		{"path.put", "put_object, fput_object", "path", "`cp`, `>`"},
		{"xattr.put", "put_object(metadata, tags, retention, legal_hold)", "xattr", "attributes set while a file is written travel with its upload"},
		{"config.prefix-defaults", "put_object defaults", "config", "defaults per prefix"},
		{"path.fget", "fget_object", "path", "`cp`; a failed read is EIO"},
		{"path.copy", "copy_object", "path", "`cp` in the mount: on the server"},
		{"version.copy", "copy_object(version_id)", "version", "`cp DIR/.versions/NAME/VERSION NAME`: on the server"},
		{"ctl.copy", "copy_object(conditions, metadata directive)", "ctl", "`ctl object copy`"},
		{"ctl.compose", "compose_object", "ctl", "`ctl object compose`"},
		{"path.stat", "stat_object", "path", "`stat`"},
		{"xattr.stat", "stat_object: etag, version id, checksums, parts, exact time", "xattr", "`user.s3.etag`, `version-id`, `checksum.*`, `parts`, `last-modified`; `user.s3` is everything as JSON"},
		{"version.stat", "stat_object(version_id)", "version", "`stat` and attributes of `DIR/.versions/NAME/VERSION`"},
		{"ctl.stat", "stat_object(version_id)", "ctl", "`ctl object stat`"},
		{"path.remove", "remove_object, remove_objects", "path", "`rm`, `rm -r`"},
		{"lock.respected", "remove_object of a locked object", "path", "`rm`, `mv`, `>`, `truncate` of a locked object: EPERM, and it stays"},
		{"ctl.versions.delete", "remove_object(version_id), remove_objects(bypass_governance_mode)", "ctl", "`ctl versions purge --version-id [--bypass-governance]`"},
		{"ctl.versions.restore", "copy of an old version on top", "ctl", "`ctl versions restore`"},
		{"ctl.versions.undelete", "removal of a delete marker", "ctl", "`ctl versions undelete`"},
		{"ctl.versions.diff", "comparison of versions", "ctl", "`ctl versions diff`"},
		{"xattr.tags", "get/set/delete_object_tags", "xattr", "`user.s3.tag.KEY`"},
		{"ctl.tags", "get/set/delete_object_tags(version_id)", "ctl", "`ctl tags --version-id`"},
		{"xattr.retention", "get/set_object_retention", "xattr", "`user.s3.retention.mode`, `user.s3.retention.until`"},
		{"ctl.retention", "get/set_object_retention(version_id, bypass)", "ctl", "`ctl retention`"},
		{"xattr.legal-hold", "enable/disable/is_object_legal_hold", "xattr", "`user.s3.legal-hold`"},
		{"ctl.legal-hold", "enable/disable/is_object_legal_hold(version_id)", "ctl", "`ctl legal-hold`"},
		{"xattr.encryption", "server-side encryption of an object", "xattr", "`user.s3.encryption`"},
		{"xattr.restore", "restore from an archive class", "xattr", "`setfattr -n user.s3.restore -v 7d`"},
		{"xattr.annotations", "object annotations", "xattr", "`user.s3.annotation.NAME`"},
		{"ctl.select", "select_object_content", "ctl", "`ctl select`"},
		{"xattr.url", "presigned_get_object", "xattr", "`user.s3.url`"},
		{"ctl.presign", "presigned get, put, any method, response headers, version, expiry", "ctl", "`ctl presign`"},
		{"ctl.post-policy", "presigned_post_policy", "ctl", "`ctl presign post`"},
	}},
	{"Supabase storage client", []capability{
		{"ctl.bucket-limits", "create/update_bucket(public, file_size_limit, allowed_mime_types)", "ctl", "`ctl bucket create|update`"},
		{"ctl.bucket-show", "get_bucket", "ctl", "`ctl bucket show`"},
		{"xattr.bucket.facts", "get_bucket: region, creation date, public, size and count", "xattr", "`user.s3.bucket.*`"},
		{"ctl.bucket-empty", "empty_bucket", "ctl", "`ctl bucket empty`"},
		{"config.timeouts", "timeout of a client", "config", "timeouts"},
	}},
	{"Apache Libcloud storage driver", []capability{
		{"config.drivers", "drivers of other vendors", "config", "remotes of other kinds"},
		{"path.stream", "upload_object_via_stream, download_object_as_stream", "path", "a pipe into a file, `cat` of a file"},
		{"path.verify", "verify_hash", "path", "every upload and whole download is checked; EIO"},
		{"path.exclusive", "overwrite_existing, delete_on_failure", "path", "O_EXCL, `cp -n`; a failed upload leaves the old object"},
		{"ctl.cdn", "enable_container_cdn, get_object_cdn_url", "ctl", "`ctl cdn`"},
		{"xattr.public-url", "get_object_cdn_url", "xattr", "`user.s3.public-url`"},
		{"xattr.headers", "headers (content type, cache control, ...)", "xattr", "`user.s3.content-type`, `cache-control`, `content-disposition`, `content-encoding`, `content-language`, `expires`, `website-redirect`"},
		{"xattr.storage-class", "storage class of an object", "xattr", "`user.s3.storage-class`"},
		{"xattr.metadata", "meta_data", "xattr", "`user.s3.meta.KEY`, `user.NAME`"},
		{"xattr.content-type", "content type of a new object", "xattr", "guessed from the name or the first bytes"},
		{"xattr.owner", "owner of an object", "xattr", "`user.s3.owner`"},
		{"xattr.upload-state", "state of an upload", "xattr", "`user.s3.upload-state`"},
		{"xattr.copy", "copies keep what an object carries", "xattr", "`cp -a`, `rsync -aX`, `tar --xattrs`"},
		{"ctl.cors", "CORS headers", "ctl", "`ctl cors`"},
		{"path.errors", "error classes", "path", "errno"},
	}},
	{"Infrai storage", []capability{
		{"config.vendors", "bucket.create(vendor), routing", "config", "several remotes in one mount"},
		{"ctl.presign-json", "object.presign -> url, method, expires_at, headers", "ctl", "`ctl presign --json`"},
		{"ctl.object-delete", "object.delete -> ok", "ctl", "`ctl object delete --json`"},
	}},
	{"Descartes Labs storage", []capability{
		{"config.namespaces", "storage types data, tmp, result", "config", "namespaces"},
		{"ctl.object-io", "set, get, set_file, get_file, delete, exists, list, iter_list", "ctl", "`ctl object put|get|delete|exists|list`"},
		{"ctl.signed-urls", "get_signed_url, get_upload_url", "ctl", "`ctl presign get|put`"},
		{"config.retries", "retries, timeouts", "config", "retry limits, connect and read timeouts"},
		{"path.missing", "NotFoundError", "path", "ENOENT"},
	}},
}
