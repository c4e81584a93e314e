package main

import (
	"os"
	"os/exec"
	"path/filepath"
)

// newClient makes the command that mounts a bucket in the foreground; doc.go says what the settings are for.
var newClient = map[string]func(b *bench, bucket, mountpoint, state string) *exec.Cmd{
	"objmount": func(b *bench, bucket, mountpoint, state string) *exec.Cmd {
		return objmount(b, bucket, mountpoint, state)
	},
	// The mode that answers close before the upload, as rclone does.
	"objmount-background": func(b *bench, bucket, mountpoint, state string) *exec.Cmd {
		return objmount(b, bucket, mountpoint, state, "--commit=background")
	},
	"s3fs": func(b *bench, bucket, mountpoint, state string) *exec.Cmd {
		cmd := exec.Command("s3fs", bucket, mountpoint, "-f", "-o", "use_path_request_style,url="+b.endpoint,
			"-o", "tmpdir="+state, "-o", "parallel_count=8,multipart_size=16,multireq_max=64", "-o", "enable_noobj_cache")
		cmd.Env = append(os.Environ(), "AWSACCESSKEYID="+accessKey, "AWSSECRETACCESSKEY="+secretKey)
		return cmd
	},
	"rclone": func(b *bench, bucket, mountpoint, state string) *exec.Cmd {
		cmd := exec.Command(filepath.Join(b.settings.tools, "rclone"), "mount", "store:"+bucket, mountpoint,
			"--vfs-cache-mode", "writes", "--vfs-write-back", "0s", "--use-server-modtime", "--transfers", "16", "--checkers", "16",
			"--s3-chunk-size", "16M", "--s3-upload-concurrency", "8", "--s3-use-unsigned-payload", "true",
			"--cache-dir", state, "--config", filepath.Join(state, "none"))
		cmd.Env = append(os.Environ(), "RCLONE_CONFIG_STORE_TYPE=s3", "RCLONE_CONFIG_STORE_PROVIDER=Other",
			"RCLONE_CONFIG_STORE_ENDPOINT="+b.endpoint, "RCLONE_CONFIG_STORE_ACCESS_KEY_ID="+accessKey,
			"RCLONE_CONFIG_STORE_SECRET_ACCESS_KEY="+secretKey, "RCLONE_CONFIG_STORE_REGION="+region,
			"RCLONE_CONFIG_STORE_FORCE_PATH_STYLE=true")
		return cmd
	},
}

func objmount(b *bench, bucket, mountpoint, state string, flags ...string) *exec.Cmd {
	args := append([]string{"mount", "--foreground", "--endpoint-url", b.endpoint, "--region", region}, flags...)
	cmd := exec.Command(b.settings.objmount, append(args, "s3://"+bucket, mountpoint)...)
	cmd.Env = append(os.Environ(), "AWS_ACCESS_KEY_ID="+accessKey, "AWS_SECRET_ACCESS_KEY="+secretKey,
		"AWS_EC2_METADATA_DISABLED=true",
		"HOME="+state, "XDG_STATE_HOME="+state, "XDG_CACHE_HOME="+state, "XDG_RUNTIME_DIR="+state)
	return cmd
}
