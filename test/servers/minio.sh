# MinIO over a directory. The folder of certificates is empty, so it speaks plain HTTP.
# shellcheck shell=bash disable=SC2034
install() { test/tools.sh minio; }

serve() {
	port
	mkdir -p "$DIR/data" "$DIR/certificates"
	daemon minio env HOME="$DIR" MINIO_ROOT_USER="$ACCESS_KEY" MINIO_ROOT_PASSWORD="$SECRET_KEY" MINIO_BROWSER=off MINIO_UPDATE=off \
		MINIO_API_SELECT_PARQUET=on MINIO_KMS_SECRET_KEY=objmount-key:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY= \
		"$OBJMOUNT_TOOLS/minio" server --quiet --address "127.0.0.1:$PORT" --certs-dir "$DIR/certificates" "$DIR/data"
	ENDPOINT=http://127.0.0.1:$PORT
	answers "$ENDPOINT/minio/health/ready"
}
