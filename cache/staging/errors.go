package staging

import (
	"errors"
	"syscall"

	"github.com/objmount/objmount/backend"
)

// diskError gives an error of the local disk its kind.
func diskError(op string, id backend.ObjectID, err error) error {
	if err == nil {
		return nil
	}
	var have *backend.Error
	if errors.As(err, &have) {
		return err
	}
	kind := backend.KindOther
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		kind = backend.KindNoSpace
	case errors.Is(err, syscall.EFBIG):
		kind = backend.KindTooLarge
	case errors.Is(err, errRemoved):
		kind = backend.KindNotExist
	}
	return &backend.Error{Kind: kind, Op: op, Bucket: id.Bucket, Key: id.Key, Err: err}
}

// refuse is an error of this package itself.
func refuse(kind backend.Kind, op string, id backend.ObjectID, why string) error {
	return &backend.Error{Kind: kind, Op: op, Bucket: id.Bucket, Key: id.Key, Message: why}
}
